/* SPDX-License-Identifier: MIT */
#include "lua/lsys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <sha2.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "lua/builtin.h"
#include "lua/context.h"
#include "lua/error.h"
#include "lua/lhex.h"
#include "loop/loop.h"
#include "loop/output.h"
#include "usb/usb.h"

/* Returns nil and the text of errno. */
static int refuse(lua_State *L)
{
    lua_pushnil(L);
    lua_pushstring(L, strerror(errno));
    return 2;
}

/*** sys.is_terminal(fd) --> boolean */
static int lsys_is_terminal(lua_State *L)
{
    lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
    return 1;
}

/*** sys.backlog(fd) --> number of bytes that the reader of stdout (1) or stderr (2) has not taken
 */
static int lsys_backlog(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)output_backlog((int)luaL_checkinteger(L, 1)));
    return 1;
}

/*** sys.terminal_size() --> width, height of the terminal behind stderr; 80, 24 if it is none */
static int lsys_terminal_size(lua_State *L)
{
    struct winsize size;
    bool known = ioctl(2, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    lua_pushinteger(L, known ? size.ws_col : 80);
    lua_pushinteger(L, known && size.ws_row > 0 ? size.ws_row : 24);
    return 2;
}

static void set_integer(lua_State *L, const char *field, lua_Integer value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, field);
}

/*** sys.stat(path) --> { type="file"|"directory"|"other", size=, mtime=, mode=, uid=, gid=, id=,
 * device= }; or nil and why.  id: equal for two names of one file; device: number of a device
 * node's device */
static int lsys_stat(lua_State *L)
{
    struct stat st;
    if (stat(luaL_checkstring(L, 1), &st) != 0)
        return refuse(L);
    lua_createtable(L, 0, 8);
    error_set(L, "type",
              S_ISREG(st.st_mode)   ? "file"
              : S_ISDIR(st.st_mode) ? "directory"
                                    : "other");
    set_integer(L, "size", (lua_Integer)st.st_size);
    set_integer(L, "mtime", (lua_Integer)st.st_mtime);
    set_integer(L, "mode", st.st_mode & 07777);
    set_integer(L, "uid", st.st_uid);
    set_integer(L, "gid", st.st_gid);
    lua_pushfstring(L, "%I:%I", (lua_Integer)st.st_dev, (lua_Integer)st.st_ino);
    lua_setfield(L, -2, "id");
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
        set_integer(L, "device", (lua_Integer)st.st_rdev);
    return 1;
}

/*** sys.readlink(path) --> target of the symbolic link; nil, if it can't be read */
static int lsys_readlink(lua_State *L)
{
    char text[PATH_MAX];
    ssize_t n = readlink(luaL_checkstring(L, 1), text, sizeof text);
    if (n < 0)
        return 0;
    lua_pushlstring(L, text, (size_t)n);
    return 1;
}

/*** sys.versions() --> { moonflash=, lua=, libusb=, system="Linux", kernel="6.1.0-18-amd64" } */
static int lsys_versions(lua_State *L)
{
    struct utsname name;
    char libusb[32];
    usb_version(libusb, sizeof libusb);
    lua_createtable(L, 0, 5);
    error_set(L, "moonflash", MOONFLASH_VERSION);
    error_set(L, "lua", LUA_VERSION_MAJOR "." LUA_VERSION_MINOR "." LUA_VERSION_RELEASE);
    error_set(L, "libusb", libusb);
    if (uname(&name) == 0) {
        error_set(L, "system", name.sysname);
        error_set(L, "kernel", name.release);
    }
    return 1;
}

/* Pushes the next name in a folder, but for "." and ".."; NULL, with errno set or 0, at the end. */
static const char *push_next_name(lua_State *L, DIR *folder)
{
    const struct dirent *entry;
    do {
        errno = 0;
        entry = readdir(folder);
    } while (entry && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
    return entry ? lua_pushstring(L, entry->d_name) : NULL;
}

/*** sys.readdir(folder) --> { name, ... }, in no order; or nil and why */
static int lsys_readdir(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    lua_newtable(L);
    DIR *folder = opendir(path);
    if (!folder)
        return refuse(L);
    for (lua_Integer n = 1; push_next_name(L, folder); n++)
        lua_seti(L, -2, n);
    int cause = errno;
    closedir(folder);
    errno = cause;
    return cause == 0 ? 1 : refuse(L);
}

/*** sys.mkdir(path) --> true, or nil and why: makes the folder and those above it that are missing,
 * for this user alone. */
static int lsys_mkdir(lua_State *L)
{
    size_t length;
    const char *given = luaL_checklstring(L, 1, &length);
    char *path = lua_newuserdatauv(L, length + 1, 0);
    memcpy(path, given, length + 1);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        char end = path[i];
        path[i] = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            return refuse(L);
        path[i] = end;
    }
    lua_pushboolean(L, 1);
    return 1;
}

/*** sys.virtual_time(): from now on the clock jumps to the next timer. */
static int lsys_virtual_time(lua_State *L)
{
    loop_virtual_time(context_of(L)->loop);
    return 0;
}

/*** sys.is_virtual() --> boolean */
static int lsys_is_virtual(lua_State *L)
{
    lua_pushboolean(L, loop_is_virtual(context_of(L)->loop));
    return 1;
}

/*** sys.time() --> seconds since 1970, with fractions */
static int lsys_time(lua_State *L)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    lua_pushnumber(L, (lua_Number)now.tv_sec + (lua_Number)now.tv_nsec / 1e9);
    return 1;
}

/*** sys.peak_memory() --> the largest number of bytes that this process has had in memory */
static int lsys_peak_memory(lua_State *L)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    lua_pushinteger(L, (lua_Integer)usage.ru_maxrss * 1024);
    return 1;
}

/*** sys.sha256(bytes) --> the hash, as 64 hex digits */
static int lsys_sha256(lua_State *L)
{
    size_t length;
    const char *bytes = luaL_checklstring(L, 1, &length);
    char digits[SHA256_DIGEST_STRING_LENGTH];
    SHA256Data((const uint8_t *)bytes, length, digits);
    lua_pushstring(L, digits);
    return 1;
}

static int close_file(lua_State *L)
{
    luaL_Stream *file = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    return luaL_fileresult(L, fclose(file->f) == 0, NULL);
}

/*** sys.create(name) --> a new file, open for writing; or nil and why, also if the name exists, as
 * a symbolic link too */
static int lsys_create(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    luaL_Stream *file = lua_newuserdatauv(L, sizeof *file, 0);
    file->closef = NULL;
    luaL_setmetatable(L, LUA_FILEHANDLE);
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    file->f = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (!file->f) {
        int cause = errno;
        if (fd >= 0)
            close(fd);
        errno = cause;
        return luaL_fileresult(L, 0, name);
    }
    file->closef = close_file;
    return 1;
}

/* Renames, unless `to` exists.  Where the file system can't do that in one step, an empty file is
 * made first, which fails if `to` exists; the renaming replaces it. */
static int rename_new(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0)
        return -1;
    close(fd);
    return rename(from, to);
}

/*** sys.rename_new(from, to) --> true; or nil and why, and nothing is changed, if `to` exists */
static int lsys_rename_new(lua_State *L)
{
    const char *from = luaL_checkstring(L, 1), *to = luaL_checkstring(L, 2);
    if (rename_new(from, to) != 0)
        return luaL_fileresult(L, 0, to);
    lua_pushboolean(L, 1);
    return 1;
}

/*** sys.sync(file) --> true, when the bytes written to it are on the disk; or nil and why */
static int lsys_sync(lua_State *L)
{
    const luaL_Stream *file = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    luaL_argcheck(L, file->closef, 1, "a file that is open");
    int fd = fileno(file->f); /* -1: standard output and error have none (output.c) */
    /* EINVAL: a pipe, for example */
    if (fflush(file->f) != 0 || (fd >= 0 && fsync(fd) != 0 && errno != EINVAL))
        return luaL_fileresult(L, 0, NULL);
    lua_pushboolean(L, 1);
    return 1;
}

/*** sys.sync_folder(path) --> true, when the names in it are on the disk; or nil and why */
static int lsys_sync_folder(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return luaL_fileresult(L, 0, path);
    int result = fsync(fd), cause = errno;
    close(fd);
    errno = cause;
    if (result != 0 && cause != EINVAL) /* EINVAL: a file system without a disk */
        return luaL_fileresult(L, 0, path);
    lua_pushboolean(L, 1);
    return 1;
}

/*** sys.last_words(line): a second signal, which ends the process, writes it to standard error */
static int lsys_last_words(lua_State *L)
{
    size_t length;
    const char *words = luaL_checklstring(L, 1, &length);
    loop_last_words(words, length);
    return 0;
}

/*** sys.builtin(name) --> text, chunk name of a file of lua/ or scripts/; nil, if there is none */
static int lsys_builtin(lua_State *L)
{
    return builtin_push(L, luaL_checkstring(L, 1));
}

/*** sys.lock(file) --> true; or nil and why: takes the file's lock (flock) until the file is closed
 */
static int lsys_lock(lua_State *L)
{
    luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    luaL_argcheck(L, stream->closef, 1, "the file is closed");
    if (flock(fileno(stream->f), LOCK_EX | LOCK_NB) != 0)
        return refuse(L);
    lua_pushboolean(L, true);
    return 1;
}

/*** sys.free_space(path) --> bytes that this user may still write there; nil and why */
static int lsys_free_space(lua_State *L)
{
    struct statvfs fs;
    if (statvfs(luaL_checkstring(L, 1), &fs) != 0)
        return refuse(L);
    lua_pushinteger(L, (lua_Integer)(fs.f_bavail * fs.f_frsize));
    return 1;
}

/*** sys.builtins(prefix) --> { name, ... }, sorted: the built-in files */
static int lsys_builtins(lua_State *L)
{
    const char *prefix = luaL_checkstring(L, 1);
    lua_newtable(L);
    lua_Integer n = 0;
    for (const struct builtin *file = builtin_files; file->name; file++) {
        if (strncmp(file->name, prefix, strlen(prefix)) != 0)
            continue;
        lua_pushstring(L, file->name);
        lua_seti(L, -2, ++n);
    }
    return 1;
}

static const luaL_Reg sys_lib[] = {
    { "is_terminal", lsys_is_terminal },
    { "terminal_size", lsys_terminal_size },
    { "stat", lsys_stat },
    { "readlink", lsys_readlink },
    { "readdir", lsys_readdir },
    { "mkdir", lsys_mkdir },
    { "virtual_time", lsys_virtual_time },
    { "is_virtual", lsys_is_virtual },
    { "peak_memory", lsys_peak_memory },
    { "sha256", lsys_sha256 },
    { "unhex", lhex_unhex },
    { "unhex_run", lhex_unhex_run },
    { "sync", lsys_sync },
    { "sync_folder", lsys_sync_folder },
    { "create", lsys_create },
    { "rename_new", lsys_rename_new },
    { "last_words", lsys_last_words },
    { "backlog", lsys_backlog },
    { "versions", lsys_versions },
    { "time", lsys_time },
    { "builtin", lsys_builtin },
    { "builtins", lsys_builtins },
    { "free_space", lsys_free_space },
    { "lock", lsys_lock },
    { NULL, NULL },
};

int luaopen_sys(lua_State *L)
{
    luaL_newlib(L, sys_lib);
    return 1;
}
