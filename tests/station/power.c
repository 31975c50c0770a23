/* SPDX-License-Identifier: MIT */
/* A VFS of SQLite that records writes and syncs, and fails on demand; for LD_PRELOAD. It is the
 * default VFS from the start of the program on.
 *
 * POWER_LOG=FILE   records what happens to the database and its WAL:
 *                    w NAME OFFSET LENGTH, and the bytes;  t NAME SIZE;  s NAME;  d NAME
 * POWER_FAIL=N     the N-th write fails
 * POWER_FULL=N     the disk is full from the N-th write on
 */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct file {
    sqlite3_file base;
    const char *name; /* the last part; NULL: it is not recorded */
    sqlite3_file *real;
};

static sqlite3_vfs *unix_vfs;
static int log_fd = -1;
static long writes, fail_at, full_at;

static struct file *of(sqlite3_file *file)
{
    return (struct file *)file;
}

static void record(const char *line, const void *bytes, int length)
{
    if (log_fd < 0)
        return;
    if (write(log_fd, line, strlen(line)) < 0 ||
        (bytes && write(log_fd, bytes, (size_t)length) < 0))
        abort();
}

static const char *last_part(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path;
}

#define REAL(file) (of(file)->real)

static int power_close(sqlite3_file *file)
{
    int result = REAL(file)->pMethods ? REAL(file)->pMethods->xClose(REAL(file)) : SQLITE_OK;
    file->pMethods = NULL;
    return result;
}

static int power_read(sqlite3_file *file, void *to, int length, sqlite3_int64 at)
{
    return REAL(file)->pMethods->xRead(REAL(file), to, length, at);
}

static int power_write(sqlite3_file *file, const void *from, int length, sqlite3_int64 at)
{
    if (of(file)->name) {
        writes++;
        if (writes == fail_at)
            return SQLITE_IOERR_WRITE;
        if (full_at > 0 && writes >= full_at)
            return SQLITE_FULL;
        char line[200];
        snprintf(line, sizeof line, "w %s %lld %d\n", of(file)->name, (long long)at, length);
        record(line, from, length);
    }
    return REAL(file)->pMethods->xWrite(REAL(file), from, length, at);
}

static int power_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    if (of(file)->name) {
        char line[200];
        snprintf(line, sizeof line, "t %s %lld\n", of(file)->name, (long long)size);
        record(line, NULL, 0);
    }
    return REAL(file)->pMethods->xTruncate(REAL(file), size);
}

static int power_sync(sqlite3_file *file, int flags)
{
    int result = REAL(file)->pMethods->xSync(REAL(file), flags);
    if (of(file)->name && result == SQLITE_OK) {
        char line[200];
        snprintf(line, sizeof line, "s %s\n", of(file)->name);
        record(line, NULL, 0);
    }
    return result;
}

static int power_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return REAL(file)->pMethods->xFileSize(REAL(file), size);
}

static int power_lock(sqlite3_file *file, int level)
{
    return REAL(file)->pMethods->xLock(REAL(file), level);
}

static int power_unlock(sqlite3_file *file, int level)
{
    return REAL(file)->pMethods->xUnlock(REAL(file), level);
}

static int power_check(sqlite3_file *file, int *reserved)
{
    return REAL(file)->pMethods->xCheckReservedLock(REAL(file), reserved);
}

static int power_control(sqlite3_file *file, int op, void *arg)
{
    return REAL(file)->pMethods->xFileControl(REAL(file), op, arg);
}

static int power_sector(sqlite3_file *file)
{
    return REAL(file)->pMethods->xSectorSize(REAL(file));
}

static int power_traits(sqlite3_file *file)
{
    return REAL(file)->pMethods->xDeviceCharacteristics(REAL(file));
}

static int power_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **at)
{
    return REAL(file)->pMethods->xShmMap(REAL(file), page, size, extend, at);
}

static int power_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return REAL(file)->pMethods->xShmLock(REAL(file), offset, n, flags);
}

static void power_shm_barrier(sqlite3_file *file)
{
    REAL(file)->pMethods->xShmBarrier(REAL(file));
}

static int power_shm_unmap(sqlite3_file *file, int erase)
{
    return REAL(file)->pMethods->xShmUnmap(REAL(file), erase);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = power_close,
    .xRead = power_read,
    .xWrite = power_write,
    .xTruncate = power_truncate,
    .xSync = power_sync,
    .xFileSize = power_size,
    .xLock = power_lock,
    .xUnlock = power_unlock,
    .xCheckReservedLock = power_check,
    .xFileControl = power_control,
    .xSectorSize = power_sector,
    .xDeviceCharacteristics = power_traits,
    .xShmMap = power_shm_map,
    .xShmLock = power_shm_lock,
    .xShmBarrier = power_shm_barrier,
    .xShmUnmap = power_shm_unmap,
};

static int power_open(sqlite3_vfs *vfs, sqlite3_filename path, sqlite3_file *file, int flags,
                      int *out)
{
    struct file *own = of(file);
    (void)vfs;
    own->real = (sqlite3_file *)(own + 1);
    own->name = path && flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL) ? last_part(path) : NULL;
    int result = unix_vfs->xOpen(unix_vfs, path, own->real, flags, out);
    own->base.pMethods = own->real->pMethods ? &methods : NULL;
    return result;
}

static int power_delete(sqlite3_vfs *vfs, const char *path, int sync)
{
    (void)vfs;
    int result = unix_vfs->xDelete(unix_vfs, path, sync);
    char line[200];
    snprintf(line, sizeof line, "d %s\n", last_part(path));
    if (result == SQLITE_OK)
        record(line, NULL, 0);
    return result;
}

static long number_of(const char *name)
{
    const char *value = getenv(name);
    return value ? atol(value) : 0;
}

__attribute__((constructor)) static void begin(void)
{
    static sqlite3_vfs vfs;
    const char *log = getenv("POWER_LOG");
    unix_vfs = sqlite3_vfs_find(NULL);
    if (!unix_vfs)
        abort();
    if (log)
        log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    fail_at = number_of("POWER_FAIL");
    full_at = number_of("POWER_FULL");
    vfs = *unix_vfs;
    vfs.zName = "power";
    vfs.szOsFile = (int)sizeof(struct file) + unix_vfs->szOsFile;
    vfs.xOpen = power_open;
    vfs.xDelete = power_delete;
    vfs.pNext = NULL;
    sqlite3_vfs_register(&vfs, 1);
}
