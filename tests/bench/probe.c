/*
 * probe stamp FILE        append to FILE the monotonic clock (s) of the first and of the last thing it does
 * probe write S BYTES     write BYTES a second for S seconds, in lines, a hundred times a second
 *
 * The clock is read inside of the command itself, so that "running" means running.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int stamp(const char *path, const struct timespec *first)
{
    struct timespec last;
    char line[64];
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);

    if (file < 0)
        return 1;
    clock_gettime(CLOCK_MONOTONIC, &last);
    int length = snprintf(line, sizeof line, "%lld.%09ld %lld.%09ld\n", (long long)first->tv_sec, first->tv_nsec,
                          (long long)last.tv_sec, last.tv_nsec);
    return write(file, line, length) != length;
}

static int keep_writing(double seconds, long bytes_per_s, struct timespec next)
{
    long length = bytes_per_s / 100;
    char *text = malloc(length + 1);

    if (!text)
        return 1;
    memset(text, 'x', length);
    for (long at = 79; at < length; at += 80)
        text[at] = '\n';
    for (long turn = 0; turn < seconds * 100; turn++) {
        for (long done = 0; done < length;) {
            ssize_t written = write(1, text + done, length - done);
            if (written < 0)
                return 1;
            done += written;
        }
        next.tv_nsec += 10000000;
        if (next.tv_nsec >= 1000000000) {
            next.tv_nsec -= 1000000000;
            next.tv_sec++;
        }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
    return 0;
}

int main(int count, char **words)
{
    struct timespec first;

    clock_gettime(CLOCK_MONOTONIC, &first);
    if (count == 3 && !strcmp(words[1], "stamp"))
        return stamp(words[2], &first);
    if (count == 4 && !strcmp(words[1], "write"))
        return keep_writing(atof(words[2]), atol(words[3]), first);
    return 2;
}
