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

#include "sqlite3.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>

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

// SQLite calls it when it has set itself up: -DSQLITE_EXTRA_INIT.
int grant_file_locks(const char *unused) {
    (void)unused;
    sqlite3_vfs *unix_vfs = sqlite3_vfs_find("unix");
    if (!unix_vfs)
        return SQLITE_ERROR;
    return unix_vfs->xSetSystemCall(unix_vfs, "fcntl", (sqlite3_syscall_ptr)control);
}
