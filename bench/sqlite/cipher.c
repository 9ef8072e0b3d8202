// Sets SQLCipher up for the measurements: pages of 4,096 bytes, as all others have. Of itself
// version 3 takes 1,024, and a database breaks where `PRAGMA page_size` asks for more later.

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

static int set_page_size(sqlite3 *database, char **error, const void *routines) {
    (void)routines;
    return sqlite3_exec(database, "PRAGMA cipher_default_page_size = 4096", NULL, NULL, error);
}

__attribute__((constructor)) static void before_main(void) {
    if (sqlite3_auto_extension((void (*)(void))set_page_size) != SQLITE_OK) {
        fputs("SQLCipher can't be set up\n", stderr);
        exit(1);
    }
}
