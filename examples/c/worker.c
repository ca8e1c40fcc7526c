/* Shows the use of publisher.h. It takes lines from stdin, such as "count 2 app.requests" and
 * "set 0.5 app.load", and publishes until they end, or until a signal ends it:
 *     cc -pthread -o worker worker.c */
#define _GNU_SOURCE
#include "publisher.h"

static void *work(void *unused) {
	char verb[8], value[32], name[128];
	while (scanf("%7s %31s %127[^\n]", verb, value, name) == 3) {
		if (!strcmp(verb, "count")) stats_count(name, atoll(value));
		else stats_set(name, atof(value));
	}
	kill(getpid(), SIGTERM);
	return unused;
}

int main(void) {
	sigset_t ends;
	int number;
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &ends, NULL); /* in all threads, and this one waits for them */
	if (stats_start()) return 1;
	pthread_create(&(pthread_t){0}, NULL, work, NULL);
	sigwait(&ends, &number);
	stats_stop();
	return 0;
}
