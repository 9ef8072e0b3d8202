// Writes to a database until it is killed, and says which transactions it has committed: what
// it has said must be there when it is started again.
//
//     commits [--journal MODE] [--synchronous LEVEL] [--transactions N] DATABASE
//
// First it checks what it finds: SQLite's own check of the database, then every row of its own,
// whose contents follow from the number of the transaction. It prints
//
//     found N      transaction N is the last one, and all is right
//     committed N  for each transaction from then on
//
// Anything wrong goes to stderr, with exit code 1.

#include "sqlite3.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    // Transactions whose rows stay; those of older ones are deleted again.
    KEPT = 200,
    // Rows of one transaction, at most.
    MOST_ROWS = 24,
    // Bytes of one row, at most: more than a page, so that some overflow it.
    MOST_BYTES = 9000,
};

static sqlite3 *database;

static void fail(const char *what) {
    fprintf(stderr, "commits: %s: %s\n", what, sqlite3_errmsg(database));
    exit(1);
}

static void wrong(const char *what, int64_t transaction) {
    fprintf(stderr, "commits: transaction %" PRId64 ": %s\n", transaction, what);
    exit(1);
}

static void execute(const char *sql) {
    if (sqlite3_exec(database, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail(sql);
}

static void pragma(const char *name, const char *value) {
    char *sql = sqlite3_mprintf("PRAGMA %s = %Q", name, value);
    if (!sql)
        fail("memory");
    execute(sql);
    sqlite3_free(sql);
}

static sqlite3_stmt *prepare(const char *sql) {
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK)
        fail(sql);
    return statement;
}

// The mixer of SplitMix64.
static uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static int rows_of(int64_t transaction) {
    return 1 + (int)(mix((uint64_t)transaction) % MOST_ROWS);
}

// The contents of a row; their size.
static int contents(int64_t transaction, int row, unsigned char bytes[MOST_BYTES]) {
    uint64_t seed = mix((uint64_t)transaction << 8 ^ (uint64_t)row);
    // Most are short.
    int size = (int)(seed % (seed >> 60 ? 400 : MOST_BYTES));
    for (int i = 0; i < size; i++) {
        if (i % 8 == 0)
            seed = mix(seed);
        bytes[i] = (unsigned char)(seed >> i % 8 * 8);
    }
    return size;
}

// What a query gives that has one number for an answer.
static int64_t number(const char *sql) {
    sqlite3_stmt *statement = prepare(sql);
    if (sqlite3_step(statement) != SQLITE_ROW)
        fail(sql);
    int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

static void check_integrity(void) {
    sqlite3_stmt *statement = prepare("PRAGMA integrity_check");
    if (sqlite3_step(statement) != SQLITE_ROW)
        fail("integrity_check");
    const char *answer = (const char *)sqlite3_column_text(statement, 0);
    if (!answer || strcmp(answer, "ok") != 0) {
        fprintf(stderr, "commits: integrity_check: %s\n", answer ? answer : "no memory");
        exit(1);
    }
    sqlite3_finalize(statement);
}

static void check_rows(int64_t last) {
    static unsigned char expected[MOST_BYTES];
    sqlite3_stmt *statement = prepare("SELECT data FROM rows WHERE txn = ?1 ORDER BY n");
    int64_t count = 0;
    int64_t oldest = last > KEPT ? last - KEPT + 1 : 1;
    for (int64_t transaction = oldest; transaction <= last; transaction++) {
        sqlite3_bind_int64(statement, 1, transaction);
        for (int row = 0; row < rows_of(transaction); row++, count++) {
            int size = contents(transaction, row, expected);
            if (sqlite3_step(statement) != SQLITE_ROW)
                wrong("a row is missing", transaction);
            const void *data = sqlite3_column_blob(statement, 0);
            if (sqlite3_column_bytes(statement, 0) != size
                || (size && memcmp(data, expected, (size_t)size)))
                wrong("a row has other contents", transaction);
        }
        if (sqlite3_step(statement) != SQLITE_DONE)
            wrong("there are more rows than it wrote", transaction);
        sqlite3_reset(statement);
    }
    sqlite3_finalize(statement);
    if (number("SELECT count(*) FROM rows") != count)
        wrong("rows of older transactions are there", last);
    if (number("SELECT count(*) FROM rows INDEXED BY by_size WHERE length(data) >= 0") != count)
        wrong("the index has other rows than the table", last);
}

static void step(sqlite3_stmt *statement) {
    if (sqlite3_step(statement) != SQLITE_DONE)
        fail(sqlite3_sql(statement));
    sqlite3_reset(statement);
}

static void write_until(int64_t transaction, int64_t end) {
    static unsigned char bytes[MOST_BYTES];
    sqlite3_stmt *insert = prepare("INSERT INTO rows VALUES (?1, ?2, ?3)");
    sqlite3_stmt *drop = prepare("DELETE FROM rows WHERE txn <= ?1");
    sqlite3_stmt *note = prepare("UPDATE last SET txn = ?1");
    for (; transaction <= end; transaction++) {
        execute("BEGIN");
        for (int row = 0; row < rows_of(transaction); row++) {
            int size = contents(transaction, row, bytes);
            sqlite3_bind_int64(insert, 1, transaction);
            sqlite3_bind_int(insert, 2, row);
            sqlite3_bind_blob(insert, 3, bytes, size, SQLITE_STATIC);
            step(insert);
        }
        sqlite3_bind_int64(drop, 1, transaction - KEPT);
        step(drop);
        sqlite3_bind_int64(note, 1, transaction);
        step(note);
        execute("COMMIT");
        printf("committed %" PRId64 "\n", transaction);
        if (fflush(stdout) != 0)
            exit(1);
    }
}

static void usage(void) {
    fputs("usage: commits [--journal MODE] [--synchronous LEVEL] [--transactions N] DATABASE\n",
          stderr);
    exit(2);
}

int main(int count, char **arguments) {
    const char *journal = "DELETE", *synchronous = "FULL";
    int64_t transactions = INT32_MAX;
    int at = 1;
    for (; at + 1 < count && strncmp(arguments[at], "--", 2) == 0; at += 2) {
        if (strcmp(arguments[at], "--journal") == 0)
            journal = arguments[at + 1];
        else if (strcmp(arguments[at], "--synchronous") == 0)
            synchronous = arguments[at + 1];
        else if (strcmp(arguments[at], "--transactions") == 0)
            transactions = strtoll(arguments[at + 1], NULL, 10);
        else
            usage();
    }
    if (at + 1 != count)
        usage();
    if (sqlite3_open(arguments[at], &database) != SQLITE_OK)
        fail(arguments[at]);
    // WAL needs memory that programs share, unless one program has the database for itself.
    if (strcmp(journal, "WAL") == 0)
        execute("PRAGMA locking_mode = EXCLUSIVE");
    // The caches are small, so that transactions are written before they are committed.
    execute("PRAGMA cache_size = 10");
    check_integrity();
    pragma("journal_mode", journal);
    pragma("synchronous", synchronous);
    execute("BEGIN;"
            "CREATE TABLE IF NOT EXISTS rows (txn INTEGER, n INTEGER, data BLOB,"
            " PRIMARY KEY (txn, n)) WITHOUT ROWID;"
            "CREATE INDEX IF NOT EXISTS by_size ON rows (length(data));"
            "CREATE TABLE IF NOT EXISTS last (txn INTEGER);"
            "INSERT INTO last SELECT 0 WHERE NOT EXISTS (SELECT * FROM last);"
            "COMMIT");
    int64_t last = number("SELECT txn FROM last");
    check_rows(last);
    printf("found %" PRId64 "\n", last);
    if (fflush(stdout) != 0)
        return 1;
    write_until(last + 1, last + transactions);
    return sqlite3_close(database) == SQLITE_OK ? 0 : 1;
}
