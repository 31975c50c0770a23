/* SPDX-License-Identifier: MIT */
/* Module `sqlite`: a thin binding of libsqlite3. Integers have 64 bits, parameters are bound, and a
 * failure raises an error object with the code "store".
 *
 *   sqlite.open(path, options?) --> Database     options: read_only, busy (seconds)
 *   database:run(sql, ...) --> number of changed rows
 *   database:rows(sql, ...) --> iterator over rows, { column = value }
 *   database:row(sql, ...) --> the first row, or nil
 *   database:script(sql)                         several statements
 *   database:backup(path)
 *   database.last_id  database.in_transaction
 *   database:close(), also <close> and __gc
 *
 * A parameter or a value is nil, a boolean (stored as 0 or 1), an integer, a float, a string, or
 * { blob = string }; a blob is read as a string.
 */
#include "lua/lsqlite.h"

#include <lauxlib.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <string.h>

#include "lua/error.h"
#include "lua/lmisuse.h"

#define DATABASE_TYPE  "sqlite.Database"
#define STATEMENT_TYPE "sqlite.Statement"

#define BUSY 5.0 /* seconds that a locked database is waited for, if nothing else is said */

struct database {
    sqlite3 *db; /* NULL: closed */
};

struct statement {
    sqlite3_stmt *stmt; /* NULL: finalized */
    bool in_use;        /* by an iterator */
};

/* User value of a Database: its statements by their text. */
enum { DATABASE_STATEMENTS = 1 };

static struct database *check_database(lua_State *L)
{
    struct database *database = method_self(L, DATABASE_TYPE);
    if (!database->db)
        luaL_error(L, "the database is closed");
    return database;
}

/* ---- errors ---- */

static const char *code_of(int result)
{
    switch (result & 0xFF) {
    case SQLITE_FULL:
        return "store.full";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return "store.busy";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return "store.damaged";
    case SQLITE_CONSTRAINT:
        return "store.constraint";
    default:
        return "store";
    }
}

static int fail(lua_State *L, sqlite3 *db)
{
    int result = sqlite3_extended_errcode(db);
    error_push(L, code_of(result), "%s", sqlite3_errmsg(db));
    return lua_error(L);
}

/* ---- values ---- */

static int bind_value(lua_State *L, sqlite3_stmt *stmt, int at, int index)
{
    size_t length;
    const char *bytes;
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        return sqlite3_bind_null(stmt, at);
    case LUA_TBOOLEAN:
        return sqlite3_bind_int(stmt, at, lua_toboolean(L, index));
    case LUA_TNUMBER:
        if (lua_isinteger(L, index))
            return sqlite3_bind_int64(stmt, at, lua_tointeger(L, index));
        return sqlite3_bind_double(stmt, at, lua_tonumber(L, index));
    case LUA_TSTRING:
        bytes = lua_tolstring(L, index, &length);
        return sqlite3_bind_text64(stmt, at, bytes, length, SQLITE_TRANSIENT, SQLITE_UTF8);
    case LUA_TTABLE:
        if (lua_getfield(L, index, "blob") == LUA_TSTRING) {
            bytes = lua_tolstring(L, -1, &length);
            int result = sqlite3_bind_blob64(stmt, at, bytes, length, SQLITE_TRANSIENT);
            lua_pop(L, 1);
            return result;
        }
        /* fall through */
    default:
        return luaL_argerror(L, index, "nil, a boolean, a number, a string, or { blob = string }");
    }
}

static void push_value(lua_State *L, sqlite3_stmt *stmt, int column)
{
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_INTEGER:
        lua_pushinteger(L, sqlite3_column_int64(stmt, column));
        return;
    case SQLITE_FLOAT:
        lua_pushnumber(L, sqlite3_column_double(stmt, column));
        return;
    case SQLITE_TEXT:
        lua_pushlstring(L, (const char *)sqlite3_column_text(stmt, column),
                        (size_t)sqlite3_column_bytes(stmt, column));
        return;
    case SQLITE_BLOB: {
        const char *bytes = sqlite3_column_blob(stmt, column); /* NULL: no bytes */
        lua_pushlstring(L, bytes ? bytes : "", (size_t)sqlite3_column_bytes(stmt, column));
        return;
    }
    default:
        lua_pushnil(L);
    }
}

static void push_row(lua_State *L, sqlite3_stmt *stmt)
{
    int count = sqlite3_column_count(stmt);
    lua_createtable(L, 0, count);
    for (int i = 0; i < count; i++) {
        push_value(L, stmt, i);
        lua_setfield(L, -2, sqlite3_column_name(stmt, i));
    }
}

/* ---- statements ---- */

static int statement_gc(lua_State *L)
{
    struct statement *statement = luaL_checkudata(L, 1, STATEMENT_TYPE);
    sqlite3_finalize(statement->stmt);
    statement->stmt = NULL;
    return 0;
}

/* Makes the statement, and pushes it. [-0, +1, e] */
static struct statement *prepare(lua_State *L, sqlite3 *db, const char *sql, size_t length)
{
    struct statement *statement = lua_newuserdatauv(L, sizeof *statement, 0);
    *statement = (struct statement){ 0 };
    luaL_setmetatable(L, STATEMENT_TYPE);
    const char *rest;
    if (sqlite3_prepare_v3(db, sql, (int)length + 1, SQLITE_PREPARE_PERSISTENT, &statement->stmt,
                           &rest) != SQLITE_OK)
        fail(L, db);
    if (!statement->stmt || rest[strspn(rest, "; \t\n")] != '\0')
        luaL_error(L, "one statement is wanted: %s", sql);
    return statement;
}

/* The statement of argument 2 with the parameters behind it bound, on the top. A statement that an
 * iterator still uses is made once more. [-0, +1, e] */
static struct statement *bound(lua_State *L, struct database *database)
{
    int top = lua_gettop(L);
    size_t length;
    const char *sql = luaL_checklstring(L, 2, &length);
    luaL_argcheck(L, length < 65536, 2, "it is too long");
    lua_getiuservalue(L, 1, DATABASE_STATEMENTS);
    lua_pushvalue(L, 2);
    struct statement *statement = NULL;
    if (lua_rawget(L, -2) != LUA_TNIL)
        statement = luaL_checkudata(L, -1, STATEMENT_TYPE);
    if (!statement || statement->in_use) {
        lua_pop(L, 1);
        bool keep = !statement;
        statement = prepare(L, database->db, sql, length);
        if (keep) {
            lua_pushvalue(L, 2);
            lua_pushvalue(L, -2);
            lua_rawset(L, -4);
        }
    }
    lua_remove(L, -2);
    int wanted = sqlite3_bind_parameter_count(statement->stmt);
    if (wanted != top - 2)
        luaL_error(L, "%d parameters are wanted, and %d given: %s", wanted, top - 2, sql);
    for (int i = 1; i <= wanted; i++)
        if (bind_value(L, statement->stmt, i, i + 2) != SQLITE_OK)
            fail(L, database->db);
    return statement;
}

static void rewind_statement(struct statement *statement)
{
    if (!statement->stmt)
        return;
    sqlite3_reset(statement->stmt);
    sqlite3_clear_bindings(statement->stmt);
}

/* Executes the next step. Returns true if there is a row. Raises after a failure. */
static bool step(lua_State *L, sqlite3 *db, struct statement *statement)
{
    int result = sqlite3_step(statement->stmt);
    if (result == SQLITE_ROW)
        return true;
    if (result != SQLITE_DONE) {
        int code = sqlite3_extended_errcode(db);
        error_push(L, code_of(code), "%s", sqlite3_errmsg(db));
        rewind_statement(statement);
        lua_error(L);
    }
    rewind_statement(statement);
    return false;
}

/*** database:run(sql, ...) --> number of changed rows */
static int ldatabase_run(lua_State *L)
{
    struct database *database = check_database(L);
    struct statement *statement = bound(L, database);
    while (step(L, database->db, statement))
        ;
    lua_pushinteger(L, sqlite3_changes64(database->db));
    return 1;
}

/*** database:row(sql, ...) --> the first row, or nil */
static int ldatabase_row(lua_State *L)
{
    struct database *database = check_database(L);
    struct statement *statement = bound(L, database);
    if (!step(L, database->db, statement))
        return 0;
    push_row(L, statement->stmt);
    rewind_statement(statement);
    return 1;
}

/* Upvalues: the Database, its Statement. */
static int next_row(lua_State *L)
{
    struct database *database = lua_touserdata(L, lua_upvalueindex(1));
    struct statement *statement = lua_touserdata(L, lua_upvalueindex(2));
    if (!database->db || !statement->in_use)
        return 0;
    statement->in_use = false; /* if step raises */
    if (!step(L, database->db, statement))
        return 0;
    statement->in_use = true;
    push_row(L, statement->stmt);
    return 1;
}

/* __close and __gc of an iterator's guard: { statement }. */
static int end_rows(lua_State *L)
{
    lua_rawgeti(L, 1, 1);
    struct statement *statement = lua_touserdata(L, -1);
    if (statement && statement->in_use) {
        statement->in_use = false;
        rewind_statement(statement);
    }
    lua_pushnil(L); /* the statement may be another iterator's from now on */
    lua_rawseti(L, 1, 1);
    return 0;
}

/*** database:rows(sql, ...) --> iterator, nil, nil, guard: for row in database:rows(...) do */
static int ldatabase_rows(lua_State *L)
{
    struct database *database = check_database(L);
    struct statement *statement = bound(L, database);
    statement->in_use = true;
    int at = lua_gettop(L);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, at);
    lua_pushcclosure(L, next_row, 2);
    lua_pushnil(L);
    lua_pushnil(L);
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, at);
    lua_rawseti(L, -2, 1);
    luaL_setmetatable(L, "sqlite.Rows");
    return 4;
}

/*** database:script(sql): executes several statements without parameters */
static int ldatabase_script(lua_State *L)
{
    struct database *database = check_database(L);
    if (sqlite3_exec(database->db, luaL_checkstring(L, 2), NULL, NULL, NULL) != SQLITE_OK)
        return fail(L, database->db);
    return 0;
}

/*** database:backup(path): copies the database, which may be in use, into a new file */
static int ldatabase_backup(lua_State *L)
{
    struct database *database = check_database(L);
    sqlite3 *copy = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    int result = sqlite3_open_v2(luaL_checkstring(L, 2), &copy, flags, NULL);
    if (result == SQLITE_OK) {
        sqlite3_backup *backup = sqlite3_backup_init(copy, "main", database->db, "main");
        if (backup) {
            sqlite3_backup_step(backup, -1);
            sqlite3_backup_finish(backup);
        }
        result = sqlite3_errcode(copy);
    }
    if (result != SQLITE_OK)
        error_push(L, code_of(result), "%s: %s", lua_tostring(L, 2),
                   copy ? sqlite3_errmsg(copy) : "not enough memory");
    sqlite3_close(copy);
    return result != SQLITE_OK ? lua_error(L) : 0;
}

/*** database:close() */
static int ldatabase_close(lua_State *L)
{
    struct database *database = method_self(L, DATABASE_TYPE);
    if (!database->db)
        return 0;
    lua_getiuservalue(L, 1, DATABASE_STATEMENTS);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        struct statement *statement = lua_touserdata(L, -1);
        sqlite3_finalize(statement->stmt);
        *statement = (struct statement){ 0 };
    }
    sqlite3_close_v2(database->db); /* at the end of the statements that iterators made */
    database->db = NULL;
    return 0;
}

static int ldatabase_index(lua_State *L)
{
    struct database *database = method_self(L, DATABASE_TYPE);
    const char *key = luaL_checkstring(L, 2);
    if (strcmp(key, "last_id") == 0 && database->db) {
        lua_pushinteger(L, sqlite3_last_insert_rowid(database->db));
    } else if (strcmp(key, "in_transaction") == 0) {
        lua_pushboolean(L, database->db && !sqlite3_get_autocommit(database->db));
    } else {
        lua_pushvalue(L, lua_upvalueindex(1));
        if (lua_getfield(L, -1, key) == LUA_TNIL)
            return luaL_error(L, "a Database has no '%s'", key);
    }
    return 1;
}

/*** sqlite.open(path, { read_only=boolean, busy=seconds }?) --> Database */
static int lsqlite_open(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    double busy = BUSY;
    if (!lua_isnoneornil(L, 2)) {
        lua_getfield(L, 2, "read_only");
        if (lua_toboolean(L, -1))
            flags = SQLITE_OPEN_READONLY;
        lua_getfield(L, 2, "busy");
        busy = luaL_optnumber(L, -1, BUSY);
    }
    struct database *database = lua_newuserdatauv(L, sizeof *database, 1);
    database->db = NULL;
    luaL_setmetatable(L, DATABASE_TYPE);
    lua_newtable(L);
    lua_setiuservalue(L, -2, DATABASE_STATEMENTS);
    if (sqlite3_open_v2(path, &database->db, flags, NULL) != SQLITE_OK) {
        error_push(L, code_of(sqlite3_extended_errcode(database->db)), "%s: %s", path,
                   database->db ? sqlite3_errmsg(database->db) : "not enough memory");
        sqlite3_close(database->db);
        database->db = NULL;
        return lua_error(L);
    }
    sqlite3_extended_result_codes(database->db, 1);
    sqlite3_busy_timeout(database->db, (int)(busy * 1000));
    return 1;
}

static const luaL_Reg sqlite_lib[] = {
    { "open", lsqlite_open },
    { NULL, NULL },
};

static const luaL_Reg database_meth[] = {
    { "run", ldatabase_run },
    { "row", ldatabase_row },
    { "rows", ldatabase_rows },
    { "script", ldatabase_script },
    { "backup", ldatabase_backup },
    { "close", ldatabase_close },
    { NULL, NULL },
};

static const luaL_Reg database_meta[] = {
    { "__gc", ldatabase_close },
    { "__close", ldatabase_close },
    { NULL, NULL },
};

static const luaL_Reg rows_meta[] = {
    { "__gc", end_rows },
    { "__close", end_rows },
    { NULL, NULL },
};

int luaopen_sqlite(lua_State *L)
{
    luaL_newmetatable(L, STATEMENT_TYPE);
    lua_pushcfunction(L, statement_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newmetatable(L, "sqlite.Rows");
    luaL_setfuncs(L, rows_meta, 0);
    luaL_newmetatable(L, DATABASE_TYPE);
    luaL_setfuncs(L, database_meta, 0);
    luaL_newlib(L, database_meth);
    lua_pushcclosure(L, ldatabase_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 3);
    luaL_newlib(L, sqlite_lib);
    return 1;
}
