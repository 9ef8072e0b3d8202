// The command of the Lua interpreter: runs statements, or a script from standard input. The
// crate that carries Lua's source leaves its command out; this one has what is needed without
// files.

#include <stdio.h>
#include <string.h>

#include "lauxlib.h"
#include "lualib.h"

static int usage(void) {
    fprintf(stderr, "Usage: lua -e STATEMENTS [ARGUMENTS]...\n"
                    "       lua - [ARGUMENTS]...    the script is read from standard input\n");
    return 2;
}

// Adds where an error came from to its message.
static int traceback(lua_State *L) {
    const char *message = luaL_tolstring(L, 1, NULL);
    luaL_traceback(L, L, message, 1);
    return 1;
}

int main(int argc, char **argv) {
    const char *statements = NULL;
    int next = 2;
    if (argc >= 3 && strcmp(argv[1], "-e") == 0) {
        statements = argv[2];
        next = 3;
    } else if (argc < 2 || strcmp(argv[1], "-") != 0) {
        return usage();
    }
    lua_State *L = luaL_newstate();
    if (!L) {
        fprintf(stderr, "lua: no memory\n");
        return 1;
    }
    luaL_openlibs(L);
    lua_newtable(L);
    for (int i = next; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i - next + 1);
    }
    lua_setglobal(L, "arg");

    lua_pushcfunction(L, traceback);
    int status = statements ? luaL_loadbuffer(L, statements, strlen(statements), "=-e")
                            : luaL_loadfile(L, NULL);
    if (status == LUA_OK) {
        for (int i = next; i < argc; i++)
            lua_pushstring(L, argv[i]);
        luaL_checkstack(L, argc, "too many arguments");
        status = lua_pcall(L, argc - next, 0, 1);
    }
    if (status != LUA_OK)
        fprintf(stderr, "lua: %s\n", lua_tostring(L, -1));
    lua_close(L);
    return status != LUA_OK;
}
