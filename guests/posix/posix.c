// Calls of POSIX on files, each with what it answers: one line for each call, which names it
// and gives its result, or the name of its errno. The same program built for this machine
// prints the same lines, but for those that guests/README.md lists.
//
//     posix FOLDER
//
// The folder must be empty; it is empty again when all went well.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static const char *error_name(int error) {
    switch (error) {
    case EACCES: return "EACCES";
    case EAGAIN: return "EAGAIN";
    case EBADF: return "EBADF";
    case EBUSY: return "EBUSY";
    case EEXIST: return "EEXIST";
    case EFBIG: return "EFBIG";
    case EINVAL: return "EINVAL";
    case EIO: return "EIO";
    case EISDIR: return "EISDIR";
    case ELOOP: return "ELOOP";
    case EMFILE: return "EMFILE";
    case EMLINK: return "EMLINK";
    case ENAMETOOLONG: return "ENAMETOOLONG";
    case ENOENT: return "ENOENT";
    case ENOSPC: return "ENOSPC";
    case ENOSYS: return "ENOSYS";
    case ENOTDIR: return "ENOTDIR";
    case ENOTEMPTY: return "ENOTEMPTY";
    case ENOTSUP: return "ENOTSUP";
    case ENXIO: return "ENXIO";
    case EOVERFLOW: return "EOVERFLOW";
    case EPERM: return "EPERM";
    case EROFS: return "EROFS";
    case ESPIPE: return "ESPIPE";
    case EXDEV: return "EXDEV";
#ifdef ENOTCAPABLE
    case ENOTCAPABLE: return "ENOTCAPABLE";
#endif
    default: return strerror(error);
    }
}

static int told(const char *call, long long result) {
    int error = errno;
    if (result < 0 && error)
        printf("%s: %s\n", call, error_name(error));
    else
        printf("%s: %lld\n", call, result);
    return (int)result;
}

// A call with its result; and one whose result is a new descriptor, whose number says nothing.
#define CALL(call) (errno = 0, told(#call, (long long)(call)))
#define OPEN(call) opened(#call, (errno = 0, call))

static int opened(const char *call, int descriptor) {
    int error = errno;
    printf("%s: %s\n", call, descriptor < 0 ? error_name(error) : "a descriptor");
    return descriptor;
}

static void section(const char *name) {
    printf("\n%s\n", name);
}

static char buffer[4096];

static void show(const char *what, ssize_t size) {
    printf("%s: \"", what);
    for (ssize_t i = 0; i < size; i++)
        putchar(buffer[i] ? buffer[i] : '.');
    puts("\"");
}

static void show_stat(const char *what, int result, const struct stat *stat) {
    int error = errno;
    if (result != 0) {
        printf("%s: %s\n", what, error_name(error));
        return;
    }
    const char *kind = S_ISREG(stat->st_mode)   ? "file"
                       : S_ISDIR(stat->st_mode) ? "directory"
                       : S_ISLNK(stat->st_mode) ? "symbolic link"
                                                : "something else";
    printf("%s: %s", what, kind);
    // What a directory has for these is up to the file system.
    if (!S_ISDIR(stat->st_mode))
        printf(", %lld bytes, %lld links", (long long)stat->st_size, (long long)stat->st_nlink);
    puts("");
}

static struct stat status;
#define STAT(call) (errno = 0, show_stat(#call, call, &status))

static void create(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (file < 0 || write(file, text, strlen(text)) != (ssize_t)strlen(text) || close(file) != 0) {
        fprintf(stderr, "posix: %s can't be made: %s\n", path, strerror(errno));
        exit(1);
    }
}

static void opening(void) {
    section("open");
    create("file", "0123456789");
    mkdir("folder", 0755);
    OPEN(open("missing", O_RDONLY));
    OPEN(open("missing/below", O_RDONLY));
    OPEN(open("file/below", O_RDONLY));
    OPEN(open("", O_RDONLY));
    OPEN(open("file", O_RDWR | O_CREAT | O_EXCL, 0644));
    OPEN(open("folder", O_WRONLY));
    OPEN(open("folder", O_RDWR | O_CREAT, 0644));
    OPEN(open("file", O_RDONLY | O_DIRECTORY));
    OPEN(open("file/", O_RDONLY));
    OPEN(open("missing/", O_RDWR | O_CREAT, 0644));
    CALL(close(OPEN(open("folder/", O_RDONLY))));
    CALL(close(OPEN(open("folder/../file", O_RDONLY))));
    CALL(close(OPEN(open("./././file", O_RDONLY))));
    memset(buffer, 'n', 256);
    buffer[256] = 0;
    opened("open(a name of 256 bytes)", open(buffer, O_RDWR | O_CREAT, 0644));
    buffer[255] = 0;
    int file = opened("open(a name of 255 bytes)", open(buffer, O_RDWR | O_CREAT, 0644));
    CALL(close(file));
    CALL(unlink(buffer));
    CALL(close(-1));
    CALL(close(1000));
    file = OPEN(open("file", O_RDWR | O_TRUNC));
    CALL(lseek(file, 0, SEEK_END));
    CALL(close(file));
    CALL(close(file));
    CALL(unlink("file"));
    CALL(rmdir("folder"));
}

static void reading(void) {
    section("read, write, seek");
    int file = OPEN(open("file", O_RDWR | O_CREAT | O_EXCL, 0644));
    CALL(write(file, "0123456789", 10));
    CALL(lseek(file, 0, SEEK_CUR));
    CALL(lseek(file, -4, SEEK_END));
    show("from there", CALL(read(file, buffer, 100)));
    CALL(read(file, buffer, 100));
    CALL(lseek(file, -1, SEEK_SET));
    CALL(lseek(file, -100, SEEK_CUR));
    CALL(lseek(file, INT64_MAX, SEEK_CUR));
    CALL(lseek(file, 0, SEEK_CUR));
    show("at 2", CALL(pread(file, buffer, 3, 2)));
    CALL(pread(file, buffer, 3, 10));
    CALL(pread(file, buffer, 3, 1000000));
    CALL(pread(file, buffer, 3, -1));
    CALL(pwrite(file, "AB", 2, 4));
    CALL(pwrite(file, "", 0, 4));
    CALL(pwrite(file, "x", 1, -1));
    CALL(lseek(file, 0, SEEK_CUR));
    CALL(pwrite(file, "end", 3, 15));
    show("with a hole", CALL(pread(file, buffer, 100, 0)));
    struct iovec pieces[3] = {
        {.iov_base = "one", .iov_len = 3}, {.iov_base = "", .iov_len = 0}, {.iov_base = "two", .iov_len = 3}};
    CALL(lseek(file, 1, SEEK_SET));
    CALL(writev(file, pieces, 3));
    CALL(lseek(file, 0, SEEK_SET));
    struct iovec parts[2] = {
        {.iov_base = buffer + 2, .iov_len = 2}, {.iov_base = buffer, .iov_len = 2}};
    show("in two parts", CALL(readv(file, parts, 2)));
    CALL(close(file));
    CALL(read(file, buffer, 1));
    CALL(write(file, buffer, 1));

    file = OPEN(open("file", O_RDONLY));
    CALL(write(file, "x", 1));
    CALL(ftruncate(file, 0));
    CALL(close(file));
    file = OPEN(open("file", O_WRONLY));
    CALL(read(file, buffer, 1));
    CALL(close(file));
    file = OPEN(open(".", O_RDONLY));
    CALL(read(file, buffer, 1));
    CALL(close(file));

    file = OPEN(open("file", O_WRONLY | O_APPEND));
    CALL(lseek(file, 0, SEEK_SET));
    CALL(write(file, "more", 4));
    CALL(lseek(file, 0, SEEK_CUR));
    CALL(fcntl(file, F_GETFL) & (O_APPEND | O_ACCMODE) ? 1 : 0);
    CALL(close(file));
    STAT(stat("file", &status));
    CALL(unlink("file"));
}

static void truncating(void) {
    section("truncate");
    create("file", "0123456789");
    int file = OPEN(open("file", O_RDWR));
    CALL(ftruncate(file, 4));
    show("shorter", CALL(pread(file, buffer, 100, 0)));
    CALL(ftruncate(file, 8));
    show("longer again", CALL(pread(file, buffer, 100, 0)));
    CALL(ftruncate(file, -1));
    CALL(truncate("file", 2));
    CALL(truncate("missing", 2));
    CALL(truncate(".", 2));
    CALL(lseek(file, 5, SEEK_SET));
    CALL(write(file, "x", 1));
    show("written behind its end", CALL(pread(file, buffer, 100, 0)));
    CALL(ftruncate(file, 10LL << 30));
    STAT(fstat(file, &status));
    CALL(pwrite(file, "far", 3, (10LL << 30) - 3));
    show("far away", CALL(pread(file, buffer, 8, (10LL << 30) - 8)));
    CALL(posix_fallocate(file, 0, 100));
    STAT(fstat(file, &status));
    CALL(fsync(file));
    CALL(fdatasync(file));
    CALL(close(file));
    CALL(fsync(file));
    CALL(unlink("file"));
}

static void renaming(void) {
    section("rename");
    create("a", "a");
    create("b", "bb");
    CALL(mkdir("empty", 0755));
    CALL(mkdir("full", 0755));
    CALL(mkdir("full/below", 0755));
    CALL(mkdir("full", 0755));
    CALL(mkdir("a", 0755));
    CALL(mkdir("missing/below", 0755));
    CALL(rename("missing", "b"));
    CALL(rename("a", "a"));
    CALL(rename("a", "b"));
    STAT(stat("a", &status));
    STAT(stat("b", &status));
    CALL(rename("b", "empty"));
    CALL(rename("empty", "b"));
    CALL(rename("empty", "full"));
    CALL(rename("full", "full/below/inside"));
    CALL(rename("b", "full/b"));
    CALL(rename("full/b", "b/"));
    CALL(rename("full/b", "b"));
    CALL(rename("full", "empty"));
    STAT(stat("empty/below", &status));
    STAT(stat("full", &status));
    CALL(rmdir("empty"));
    CALL(rmdir("b"));
    CALL(rmdir("missing"));
    CALL(rmdir("empty/below"));
    CALL(rmdir("empty/"));
    CALL(unlink("b"));
    CALL(unlink("b"));
    CALL(unlink("b/below"));
}

static void unlinking(void) {
    section("unlink while open");
    create("file", "still here");
    int first = OPEN(open("file", O_RDWR));
    int second = OPEN(open("file", O_RDONLY));
    CALL(unlink("file"));
    STAT(stat("file", &status));
    STAT(fstat(first, &status));
    show("through the first", CALL(pread(first, buffer, 100, 0)));
    CALL(pwrite(first, "was", 3, 6));
    show("through the second", CALL(read(second, buffer, 100)));
    create("file", "another");
    show("the old one", CALL(pread(first, buffer, 100, 0)));
    CALL(close(first));
    show("the old one", CALL(pread(second, buffer, 100, 0)));
    CALL(close(second));
    first = OPEN(open("file", O_RDONLY));
    create("other", "over it");
    CALL(rename("other", "file"));
    show("the one that was replaced", CALL(pread(first, buffer, 100, 0)));
    CALL(close(first));
    CALL(unlink("file"));
    CALL(mkdir("folder", 0755));
    int folder = OPEN(open("folder", O_RDONLY | O_DIRECTORY));
    CALL(rmdir("folder"));
    OPEN(openat(folder, "below", O_RDWR | O_CREAT, 0644));
    CALL(close(folder));
}

static void linking(void) {
    section("links");
    create("file", "text");
    CALL(link("file", "hard"));
    STAT(stat("file", &status));
    CALL(link("file", "hard"));
    CALL(link("missing", "other"));
    CALL(link(".", "other"));
    CALL(unlink("file"));
    STAT(stat("hard", &status));
    CALL(symlink("hard", "soft"));
    CALL(symlink("hard", "soft"));
    STAT(stat("soft", &status));
    STAT(lstat("soft", &status));
    show("target", CALL(readlink("soft", buffer, sizeof buffer)));
    show("its beginning", CALL(readlink("soft", buffer, 2)));
    CALL(readlink("hard", buffer, sizeof buffer));
    CALL(readlink("missing", buffer, sizeof buffer));
    OPEN(open("soft", O_RDONLY | O_NOFOLLOW));
    CALL(close(OPEN(open("soft", O_RDONLY))));
    CALL(symlink("nowhere", "dangling"));
    OPEN(open("dangling", O_RDONLY));
    OPEN(open("dangling", O_RDWR | O_CREAT | O_EXCL, 0644));
    CALL(close(OPEN(open("dangling", O_RDWR | O_CREAT, 0644))));
    STAT(lstat("nowhere", &status));
    CALL(symlink("loop", "loop"));
    OPEN(open("loop", O_RDONLY));
    STAT(stat("loop", &status));
    CALL(mkdir("folder", 0755));
    CALL(symlink("../hard", "folder/up"));
    CALL(close(OPEN(open("folder/up", O_RDONLY))));
    CALL(symlink("folder", "door"));
    STAT(stat("door/up", &status));
    CALL(rmdir("door"));
    OPEN(open("door", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    CALL(rename("soft", "moved"));
    STAT(lstat("moved", &status));
    CALL(unlink("moved"));
    CALL(unlink("dangling"));
    CALL(unlink("nowhere"));
    CALL(unlink("loop"));
    CALL(unlink("door"));
    CALL(unlink("folder/up"));
    CALL(unlink("folder"));
    CALL(rmdir("folder"));
    CALL(unlink("hard"));
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void listing(void) {
    section("directories");
    enum { FILES = 300 };
    CALL(mkdir("many", 0755));
    char path[64];
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "many/file-%d", i);
        create(path, "");
    }
    CALL(mkdir("many/folder", 0755));
    CALL(symlink("file-0", "many/link"));
    DIR *missing = opendir("missing");
    printf("opendir(missing): %s\n", missing ? "?" : error_name(errno));
    DIR *no_folder = opendir("many/file-0");
    printf("opendir(a file): %s\n", no_folder ? "?" : error_name(errno));

    DIR *many = opendir("many");
    char *names[FILES + 4];
    int count = 0, files = 0, folders = 0, links = 0;
    long middle = 0;
    struct dirent *entry;
    while (many && (entry = readdir(many)) && count < FILES + 4) {
        names[count++] = strdup(entry->d_name);
        files += entry->d_type == DT_REG;
        folders += entry->d_type == DT_DIR;
        links += entry->d_type == DT_LNK;
        if (count == FILES / 2)
            middle = telldir(many);
    }
    printf("%d entries: %d files, %d folders, %d links\n", count, files, folders, links);
    seekdir(many, middle);
    int rest = 0, same = 0;
    while ((entry = readdir(many)))
        if (rest++ == 0)
            same = strcmp(entry->d_name, names[FILES / 2]) == 0;
    printf("%d after the middle, the same next: %s\n", rest, same ? "yes" : "no");
    qsort(names, (size_t)count, sizeof *names, by_name);
    int twice = 0;
    for (int i = 1; i < count; i++)
        twice += strcmp(names[i - 1], names[i]) == 0;
    printf("first %s, last %s, twice %d\n", names[0], names[count - 1], twice);
    for (int i = 0; i < count; i++)
        free(names[i]);

    // Entries that are there all the time are read once, whatever is made or removed meanwhile.
    rewinddir(many);
    int kept = 0, number;
    for (int i = 0; (entry = readdir(many)); i++) {
        if (sscanf(entry->d_name, "file-%d", &number) == 1 && number < FILES && number % 2 == 0)
            kept++;
        if (i < FILES / 2) {
            snprintf(path, sizeof path, "many/file-%d", 2 * i + 1);
            unlink(path);
            snprintf(path, sizeof path, "many/new-%d", i);
            create(path, "");
        }
    }
    printf("of %d that stayed, read while others went and came: %d\n", FILES / 2, kept);
    rewinddir(many);
    while ((entry = readdir(many))) {
        snprintf(path, sizeof path, "many/%.40s", entry->d_name);
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
            rmdir(path);
        else if (entry->d_type != DT_DIR)
            unlink(path);
    }
    CALL(closedir(many));
    CALL(rmdir("many"));
}

static void show_times(const char *what) {
    struct stat is;
    if (stat("file", &is) != 0) {
        printf("%s: %s\n", what, error_name(errno));
        return;
    }
    printf("%s: read %lld.%09ld, written %lld.%09ld\n", what, (long long)is.st_atim.tv_sec,
           (long)is.st_atim.tv_nsec, (long long)is.st_mtim.tv_sec, (long)is.st_mtim.tv_nsec);
}

static void times(void) {
    section("times");
    create("file", "text");
    struct timespec both[2] = {{1000000000, 123456789}, {1500000000, 987654321}};
    CALL(utimensat(AT_FDCWD, "file", both, 0));
    show_times("both set");
    both[0].tv_nsec = UTIME_OMIT;
    both[1].tv_sec = 1600000000;
    CALL(utimensat(AT_FDCWD, "file", both, 0));
    show_times("the second set");
    CALL(utimensat(AT_FDCWD, "missing", both, 0));
    both[0].tv_nsec = 1000000000;
    CALL(utimensat(AT_FDCWD, "file", both, 0));
    int file = OPEN(open("file", O_RDWR));
    both[0] = (struct timespec){1, 2};
    both[1] = (struct timespec){3, 4};
    CALL(futimens(file, both));
    show_times("by a descriptor");
    CALL(write(file, "x", 1));
    CALL(fsync(file));
    struct stat is;
    fstat(file, &is);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    printf("written now: %s\n", llabs((long long)now.tv_sec - is.st_mtim.tv_sec) < 60 ? "yes" : "no");
    CALL(futimens(file, NULL));
    CALL(close(file));
    CALL(unlink("file"));
}

static void polling(void) {
    section("poll");
    create("file", "text");
    int file = OPEN(open("file", O_RDWR));
    struct pollfd polls[2] = {{.fd = file, .events = POLLIN | POLLOUT}, {.fd = file, .events = POLLIN}};
    CALL(poll(polls, 2, 0));
    printf("first %s%s, second %s%s\n", polls[0].revents & POLLIN ? "in " : "",
           polls[0].revents & POLLOUT ? "out" : "", polls[1].revents & POLLIN ? "in " : "",
           polls[1].revents & POLLOUT ? "out" : "");
    CALL(close(file));
    CALL(unlink("file"));
}

static void descriptors(void) {
    section("descriptors");
    create("file", "0123456789");
    int first = OPEN(open("file", O_RDONLY));
    int second = OPEN(open("file", O_RDONLY));
    CALL(second - first);
    CALL(lseek(first, 5, SEEK_SET));
    CALL(lseek(second, 0, SEEK_CUR));
    CALL(close(first));
    int third = OPEN(open("file", O_RDONLY));
    CALL(third - first);
    int folder = OPEN(open(".", O_RDONLY | O_DIRECTORY));
    int below = OPEN(openat(folder, "file", O_RDONLY));
    STAT(fstatat(folder, "file", &status, 0));
    STAT(fstat(below, &status));
    CALL(faccessat(folder, "file", R_OK, 0));
    CALL(faccessat(folder, "missing", R_OK, 0));
    CALL(unlinkat(folder, "file", AT_REMOVEDIR));
    OPEN(openat(below, "file", O_RDONLY));
    CALL(close(folder));
    CALL(close(below));
    CALL(close(second));
    CALL(close(third));
    CALL(unlink("file"));

    enum { MANY = 500 };
    int many[MANY], open_ones = 0;
    create("file", "x");
    while (open_ones < MANY && (many[open_ones] = open("file", O_RDONLY)) >= 0)
        open_ones++;
    printf("%d descriptors of one file\n", open_ones);
    while (open_ones > 0)
        close(many[--open_ones]);
    CALL(unlink("file"));
}

int main(int count, char **arguments) {
    if (count != 2) {
        fputs("usage: posix FOLDER\n", stderr);
        return 2;
    }
    if (chdir(arguments[1]) != 0) {
        fprintf(stderr, "posix: %s: %s\n", arguments[1], strerror(errno));
        return 1;
    }
    opening();
    reading();
    truncating();
    renaming();
    unlinking();
    linking();
    listing();
    times();
    polling();
    descriptors();
    return 0;
}
