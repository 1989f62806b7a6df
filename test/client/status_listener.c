/*
 * status_listener.c
 *		What an application does that wants to hear of changed statuses, with
 *		nothing but libpq: it listens, reads kpi.status_change from where it left
 *		off, and reads again whenever it is told to.
 *
 *		status_listener CONNINFO ROWS MILLISECONDS
 *
 * reads ROWS at a time and sleeps that long after each reading, so that it can
 * be as slow as anybody.  It prints "listening", "told ID" for each notification
 * and "row ..." for each row, and ends when somebody notifies kpi_stop, without
 * another look: what it has read then, notifications have made it read.
 */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

static PGconn *connection;
static char last[32] = "0";		/* status_change_id */

static void
give_up(const char *what)
{
	fprintf(stderr, "%s: %s", what, PQerrorMessage(connection));
	exit(1);
}

static void
run(const char *sql)
{
	PGresult   *result = PQexec(connection, sql);

	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		give_up(sql);
	PQclear(result);
}

/* reads the next rows; returns how many there were */
static int
read_rows(const char *limit)
{
	const char *values[] = {last, limit};
	PGresult   *result = PQexecParams(connection,
									  "SELECT status_change_id, kpi_id, period, old_status, new_status"
									  "  FROM kpi.status_change WHERE status_change_id > $1::bigint"
									  " ORDER BY status_change_id LIMIT $2::bigint",
									  2, NULL, values, NULL, NULL, 0);
	int			n = PQntuples(result);

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		give_up("reading");
	for (int i = 0; i < n; i++)
	{
		printf("row");
		for (int column = 0; column < 5; column++)
			printf(" %s", PQgetisnull(result, i, column) ? "-" : PQgetvalue(result, i, column));
		printf("\n");
		snprintf(last, sizeof(last), "%s", PQgetvalue(result, i, 0));
	}
	PQclear(result);
	return n;
}

static void
read_on(const char *limit, const char *milliseconds)
{
	int			n;

	do
	{
		n = read_rows(limit);
		usleep(atoi(milliseconds) * 1000);
	} while (n > 0);
}

static void
wait_for_input(void)
{
	fd_set		ready;

	FD_ZERO(&ready);
	FD_SET(PQsocket(connection), &ready);
	if (select(PQsocket(connection) + 1, &ready, NULL, NULL, NULL) < 0 || !PQconsumeInput(connection))
		give_up("waiting");
}

int
main(int argc, char **argv)
{
	int			stopped = 0;

	if (argc != 4)
	{
		fprintf(stderr, "usage: status_listener CONNINFO ROWS MILLISECONDS\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	connection = PQconnectdb(argv[1]);
	if (PQstatus(connection) != CONNECTION_OK)
		give_up("connecting");
	/* first listen, then read: whatever comes between the two is told */
	run("LISTEN kpi_status");
	run("LISTEN kpi_stop");
	read_on(argv[2], argv[3]);
	printf("listening\n");
	while (!stopped)
	{
		PGnotify   *notification;
		int			told = 0;

		while (!stopped && (notification = PQnotifies(connection)) != NULL)
		{
			stopped = strcmp(notification->relname, "kpi_stop") == 0;
			if (!stopped)
			{
				told = 1;
				printf("told %s\n", notification->extra);
			}
			PQfreemem(notification);
		}
		if (told)
			read_on(argv[2], argv[3]);
		else if (!stopped)
			wait_for_input();
	}
	PQfinish(connection);
	return 0;
}
