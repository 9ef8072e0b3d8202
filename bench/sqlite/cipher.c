// Sets SQLCipher up for the measurements. Each build says with CIPHER_VERSION how the version of its
// SQLCipher begins: no database opens with another one, or with a SQLite that encrypts nothing.
//
// Pages have 4,096 bytes, as all others have and as version 4 does of itself. Version 3 takes 1,024,
// and a database breaks where `PRAGMA page_size` asks for more later.

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_version(void *known, int columns, char **values, char **names) {
    (void)names;
    *(int *)known =
        columns == 1 && values[0] && !strncmp(values[0], CIPHER_VERSION, strlen(CIPHER_VERSION));
    return 0;
}

static int set_up(sqlite3 *database, char **error, const void *routines) {
    (void)routines;
    int known = 0;
    int code = sqlite3_exec(database, "PRAGMA cipher_version", compare_version, &known, error);
    if (code != SQLITE_OK)
        return code;
    if (!known) {
        *error = sqlite3_mprintf("this is not SQLCipher " CIPHER_VERSION);
        return SQLITE_ERROR;
    }
    return sqlite3_exec(database, "PRAGMA cipher_default_page_size = 4096", NULL, NULL, error);
}

__attribute__((constructor)) static void before_main(void) {
    if (sqlite3_auto_extension((void (*)(void))set_up) != SQLITE_OK) {
        fputs("SQLCipher can't be set up\n", stderr);
        exit(1);
    }
}
