// The small measurements of SQLite that Twine's paper of 2021 makes: records of 1,000 bytes are
// inserted, then read in the order of their ids, then at random.
//
//     micro [--journal MODE] [--key KEY] [--only WORK] DATABASE RECORDS...
//
// The table grows from each number of records to the next, in one transaction of a prepared
// statement. For each, one line of CSV says how long that took, and how long it took to read
// each record once, and as many at random. A record that is not what was inserted ends it. WORK is
// insert, sequential or random: only that is done, and the reads take a database that is there.

#include "sqlite3.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { RECORD = 1000 };

static sqlite3 *database;

static const char *only;

static int does(const char *work) {
    return !only || strcmp(only, work) == 0;
}

static void fail(const char *what) {
    fprintf(stderr, "micro: %s: %s\n", what, sqlite3_errmsg(database));
    exit(1);
}

static void execute(const char *sql) {
    if (sqlite3_exec(database, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail(sql);
}

static sqlite3_stmt *prepare(const char *sql) {
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK)
        fail(sql);
    return statement;
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// The mixer of SplitMix64.
static uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static void fill(uint64_t id, uint64_t record[RECORD / 8]) {
    for (uint64_t i = 0; i < RECORD / 8; i++)
        record[i] = mix(id << 8 ^ i);
}

static void insert(uint64_t from, uint64_t to) {
    sqlite3_stmt *statement = prepare("INSERT INTO records VALUES (?1, ?2)");
    uint64_t record[RECORD / 8];
    execute("BEGIN");
    for (uint64_t id = from; id <= to; id++) {
        fill(id, record);
        sqlite3_bind_int64(statement, 1, (sqlite3_int64)id);
        sqlite3_bind_blob(statement, 2, record, RECORD, SQLITE_STATIC);
        if (sqlite3_step(statement) != SQLITE_DONE)
            fail("insert");
        sqlite3_reset(statement);
    }
    execute("COMMIT");
    sqlite3_finalize(statement);
}

// Reads as many records as there are; their ends are compared with what was inserted, which
// takes less than the rest by far.
static void select_by_id(uint64_t records, int at_random) {
    sqlite3_stmt *statement = prepare("SELECT data FROM records WHERE id = ?1");
    for (uint64_t i = 0; i < records; i++) {
        uint64_t id = 1 + (at_random ? mix(records << 32 ^ i) % records : i);
        sqlite3_bind_int64(statement, 1, (sqlite3_int64)id);
        if (sqlite3_step(statement) != SQLITE_ROW)
            fail("select");
        uint64_t last;
        const char *data = sqlite3_column_blob(statement, 0);
        if (sqlite3_column_bytes(statement, 0) != RECORD)
            fail("a record has another size than it had");
        memcpy(&last, data + RECORD - sizeof last, sizeof last);
        if (last != mix(id << 8 ^ (RECORD / 8 - 1)))
            fail("a record has other contents than it had");
        sqlite3_reset(statement);
    }
    sqlite3_finalize(statement);
}

static void usage(void) {
    fputs("usage: micro [--journal MODE] [--key KEY] [--only WORK] DATABASE RECORDS...\n",
          stderr);
    exit(2);
}

static void pragma(const char *name, const char *value) {
    char *sql = sqlite3_mprintf("PRAGMA %s = %Q", name, value);
    if (!sql)
        fail("memory");
    execute(sql);
    sqlite3_free(sql);
}

int main(int count, char **arguments) {
    const char *journal = "DELETE", *key = NULL;
    int at = 1;
    for (; at + 1 < count && strncmp(arguments[at], "--", 2) == 0; at += 2) {
        if (strcmp(arguments[at], "--journal") == 0)
            journal = arguments[at + 1];
        else if (strcmp(arguments[at], "--key") == 0)
            key = arguments[at + 1];
        else if (strcmp(arguments[at], "--only") == 0)
            only = arguments[at + 1];
        else
            usage();
    }
    if (at + 2 > count)
        usage();
    if (only && strcmp(only, "insert") && strcmp(only, "sequential") && strcmp(only, "random"))
        usage();
    const char *path = arguments[at++];
    if (does("insert") && strcmp(path, ":memory:") != 0)
        unlink(path);
    if (sqlite3_open(path, &database) != SQLITE_OK)
        fail(path);
    if (key)
        pragma("key", key);
    execute("PRAGMA page_size = 4096");
    execute("PRAGMA cache_size = -8192");
    execute("PRAGMA synchronous = NORMAL");
    pragma("journal_mode", journal);
    if (does("insert"))
        execute("CREATE TABLE records (id INTEGER PRIMARY KEY, data BLOB NOT NULL)");

    puts("records,inserted,insert_seconds,sequential_seconds,random_seconds");
    uint64_t records = 0;
    for (; at < count; at++) {
        uint64_t next = strtoull(arguments[at], NULL, 10);
        if (next <= records || next > UINT32_MAX)
            usage();
        double start = seconds();
        if (does("insert"))
            insert(records + 1, next);
        double inserted = seconds();
        if (does("sequential"))
            select_by_id(next, 0);
        double in_order = seconds();
        if (does("random"))
            select_by_id(next, 1);
        double end = seconds();
        printf("%" PRIu64 ",%" PRIu64 ",%.6f,%.6f,%.6f\n", next, next - records,
               inserted - start, in_order - inserted, end - in_order);
        fflush(stdout);
        records = next;
    }
    if (sqlite3_close(database) != SQLITE_OK)
        fail("close");
    return 0;
}
