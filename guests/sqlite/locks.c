// File locks for SQLite where the system has none.
//
// SQLite's "unix" VFS keeps two programs from writing one database at once with locks by
// fcntl. WASI has no such call, and nothing that could take its place; SQLite's other choices
// for it are "unix-none", which also drops the locks between the connections of one program,
// and "unix-dotfile", whose lock is a folder that outlives a program that was killed: nobody
// could open the database any more.
//
// Here, fcntl grants every lock. Connections within the program are still kept apart: that
// SQLite does itself, before it asks the system. That no other program has the database open
// is for the file system to see to, as a volume does, which only one program at a time can use.
//
// A database in WAL mode needs memory that programs share, which WASI lacks too; or a connection
// that has the database for itself, which one that finds such a database asks for here.

#include "sqlite3.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>

static int control(int descriptor, int command, ...) {
    va_list arguments;
    va_start(arguments, command);
    int result;
    if (command == F_GETLK) {
        va_arg(arguments, struct flock *)->l_type = F_UNLCK;
        result = 0;
    } else if (command == F_SETLK || command == F_SETLKW) {
        result = 0;
    } else {
        result = fcntl(descriptor, command, va_arg(arguments, int));
    }
    va_end(arguments);
    return result;
}

// Whether a file is a database in WAL mode, by the version that its header wants of who writes it
// (the SQLite database file format, 1.3).
static int is_in_wal_mode(const char *name) {
    FILE *file = name && *name ? fopen(name, "rb") : NULL;
    if (!file)
        return 0;
    unsigned char header[20];
    size_t read = fread(header, 1, sizeof header, file);
    fclose(file);
    return read == sizeof header && header[18] == 2;
}

// SQLite calls it for each new connection.
static int take_for_itself(sqlite3 *db, char **error, const struct sqlite3_api_routines *unused) {
    (void)unused;
    if (!is_in_wal_mode(sqlite3_db_filename(db, "main")))
        return SQLITE_OK;
    return sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, error);
}

// SQLite calls it when it has set itself up: -DSQLITE_EXTRA_INIT.
int grant_file_locks(const char *unused) {
    (void)unused;
    sqlite3_vfs *unix_vfs = sqlite3_vfs_find("unix");
    if (!unix_vfs)
        return SQLITE_ERROR;
    int result = unix_vfs->xSetSystemCall(unix_vfs, "fcntl", (sqlite3_syscall_ptr)control);
    return result ? result : sqlite3_auto_extension((void (*)(void))take_for_itself);
}
