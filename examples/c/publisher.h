/* Publishes stats in the plain format: docs/languages.md. worker.c shows how it is used, by
 * any thread. Needs -pthread. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 1000 }; /* stats; one more takes what is beyond, and isn't published */
static struct stats_value { char name[128]; int is_float; long long n; double f; } stats[MOST + 1];
static pthread_mutex_t stats_lock = PTHREAD_MUTEX_INITIALIZER; /* guards them, and the pipe */
static char stats_pipe[4096], stats_temporary[4096];

static void stats_change(const char *name, int is_float, long long by, double f) {
	struct stats_value *s = stats;
	pthread_mutex_lock(&stats_lock);
	while (s < stats + MOST && s->name[0] && strncmp(s->name, name, sizeof s->name - 1)) s++;
	strncpy(s->name, name, sizeof s->name - 1);
	s->is_float = is_float, s->n += by, s->f = f;
	pthread_mutex_unlock(&stats_lock);
}
static inline void stats_count(const char *name, long long by) { stats_change(name, 0, by, 0); }
static inline void stats_set(const char *name, double value) { stats_change(name, 1, 0, value); }

static void stats_print(FILE *out, const struct stats_value *s) {
	for (const char *c = s->name; *c; c++) putc(*c == '\n' || *c == '\r' ? ' ' : *c, out);
	char text[32];
	for (int digits = 15; digits <= 17; digits++) /* as few as read back to the same */
		if (snprintf(text, sizeof text, "%.*g", digits, s->f) && strtod(text, NULL) == s->f) break;
	if (s->is_float) fprintf(out, ": %s%s\n", text, strpbrk(text, ".en") ? "" : ".0");
	else fprintf(out, ": %lld\n", s->n);
}
static void *stats_serve(void *signals) { /* SIGPIPE says that a reader left, by EPIPE as well */
	static struct stats_value now[MOST];
	pthread_sigmask(SIG_BLOCK, signals, NULL);
	for (FILE *out = NULL;; out = fdopen(open(stats_pipe, O_WRONLY | O_CLOEXEC), "w")) { /* waits */
		pthread_mutex_lock(&stats_lock); /* a fresh pipe for the next one, before the writing */
		int fails = mkfifo(stats_temporary, 0644) || chmod(stats_temporary, 0644) || rename(stats_temporary, stats_pipe);
		memcpy(now, stats, sizeof now);
		pthread_mutex_unlock(&stats_lock);
		if (fails) return NULL;
		for (int i = 0; out && i < MOST && now[i].name[0]; i++) stats_print(out, &now[i]);
		if (out) fclose(out);
	}
}
static int stats_start(void) { /* after a fork, and before there are other threads */
	const char *dir = getenv("STATVENT_PIPE_DIR") ? getenv("STATVENT_PIPE_DIR") : "/tmp/stats-pipe";
	if (!mkdir(dir, 0777)) chmod(dir, 01777); /* for every user, whatever the umask */
	snprintf(stats_pipe, sizeof stats_pipe, "%s/%d.stats", dir, getpid());
	snprintf(stats_temporary, sizeof stats_temporary, "%s/.tmp-%d-%08lx%08x", dir, geteuid(), time(NULL), getpid());
	static sigset_t all;
	return pthread_create(&(pthread_t){0}, NULL, stats_serve, (sigfillset(&all), &all));
}
static void stats_stop(void) { pthread_mutex_lock(&stats_lock); unlink(stats_pipe); } /* for good */
