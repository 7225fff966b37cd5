/* The yardstick of the durable path: a relay that keeps what it passes on as safely as the hub does.
 *
 *   durable PORT IN OUT FOLDER
 *       Every message of topic IN gets a file of its own and a row, and is passed on to topic OUT with
 *       QoS 1 and acknowledged when both are on the disk. Then its row is marked as leased and as done,
 *       in a transaction of its own: the hub commits twice as well, when a clip comes and when it ends.
 *       What has come meanwhile shares its syncs and commits.
 *
 * A group's files are synced as the hub syncs them in a flood, with one syncfs; a single file with its
 * folder, by fsync. SQLite: WAL and synchronous=FULL, one connection, prepared statements, the hub's
 * columns that have a meaning here and its index on what waits. Decisions, estimates, receipts, outcomes
 * and checks of the file are the hub's alone.
 */
#define RELAY_PARTS
#include "relay.c"
#include <sqlite3.h>
#include <sys/stat.h>

enum { GROUP = 64, FOLDERS = 256 };

typedef struct {
    sqlite3 *database;
    sqlite3_stmt *begin, *commit, *put, *lease, *done;
    const char *folder;
    int root;
    unsigned long count;
} Shelf;

static void check(Shelf *shelf, int status, const char *what) {
    if (status == SQLITE_OK || status == SQLITE_DONE || status == SQLITE_ROW) return;
    fprintf(stderr, "durable: %s: %s\n", what, sqlite3_errmsg(shelf->database));
    exit(1);
}

static sqlite3_stmt *prepare(Shelf *shelf, const char *sql) {
    sqlite3_stmt *statement;
    check(shelf, sqlite3_prepare_v2(shelf->database, sql, -1, &statement, NULL), sql);
    return statement;
}

static void step(Shelf *shelf, sqlite3_stmt *statement, const char *what) {
    check(shelf, sqlite3_step(statement), what);
    check(shelf, sqlite3_reset(statement), what);
}

static void open_shelf(Shelf *shelf, const char *folder) {
    char path[4096];
    shelf->folder = folder;
    shelf->root = open(folder, O_RDONLY);
    if (shelf->root < 0) die(folder);
    for (int number = 0; number < FOLDERS; number++) {
        snprintf(path, sizeof path, "%s/%02x", folder, number);
        if (mkdir(path, 0777) && errno != EEXIST) die(path);
    }
    snprintf(path, sizeof path, "%s/durable.db", folder);
    check(shelf, sqlite3_open(path, &shelf->database), "open");
    const char *schema =
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        "CREATE TABLE clips (id TEXT PRIMARY KEY, topic TEXT, received_at TEXT, size INTEGER, state TEXT,"
        " worker TEXT, token INTEGER, outcome TEXT);"
        "CREATE INDEX clips_received ON clips (received_at);"
        "CREATE INDEX clips_waiting ON clips (received_at) WHERE state = 'waiting'";
    check(shelf, sqlite3_exec(shelf->database, schema, NULL, NULL, NULL), "schema");
    shelf->begin = prepare(shelf, "BEGIN IMMEDIATE");
    shelf->commit = prepare(shelf, "COMMIT");
    shelf->put = prepare(shelf, "INSERT INTO clips VALUES (?, ?, strftime('%Y-%m-%dT%H:%M:%fZ'), ?, 'waiting', '', 0, '')");
    shelf->lease = prepare(shelf, "UPDATE clips SET state = 'leased', worker = 'one', token = ? WHERE id = ?");
    shelf->done = prepare(shelf, "UPDATE clips SET state = 'done', outcome = '{\"frames\": 25}' WHERE id = ?");
}

static void name_of(unsigned long number, char *id, size_t room) {
    snprintf(id, room, "00000000-0000-7000-8000-%012lx", number);
}

static void keep_file(Shelf *shelf, unsigned long number, const Packet *packet, int alone) {
    char path[4096], id[40];
    name_of(number, id, sizeof id);
    snprintf(path, sizeof path, "%s/%02lx/%s.mp4", shelf->folder, number % FOLDERS, id);
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (file < 0) die(path);
    struct iovec part = {packet->payload, packet->payload_size};
    write_all(file, &part, 1);
    if (alone) {
        if (fsync(file)) die("fsync");
        snprintf(path, sizeof path, "%s/%02lx", shelf->folder, number % FOLDERS);
        int folder = open(path, O_RDONLY);
        if (folder < 0 || fsync(folder)) die("fsync of a folder");
        close(folder);
    }
    close(file);
}

static void keep(Shelf *shelf, const Packet *packets, int count, const char *topic) {
    char id[40];
    for (int n = 0; n < count; n++) keep_file(shelf, shelf->count + (unsigned long)n, &packets[n], count == 1);
    if (count > 1 && syncfs(shelf->root)) die("syncfs");
    step(shelf, shelf->begin, "begin");
    for (int n = 0; n < count; n++) {
        name_of(shelf->count + (unsigned long)n, id, sizeof id);
        sqlite3_bind_text(shelf->put, 1, id, -1, SQLITE_STATIC);
        sqlite3_bind_text(shelf->put, 2, topic, -1, SQLITE_STATIC);
        sqlite3_bind_int64(shelf->put, 3, (sqlite3_int64)packets[n].payload_size);
        step(shelf, shelf->put, "put");
    }
    step(shelf, shelf->commit, "commit");
}

static void settle(Shelf *shelf, int count) {
    char id[40];
    step(shelf, shelf->begin, "begin");
    for (int n = 0; n < count; n++) {
        name_of(shelf->count + (unsigned long)n, id, sizeof id);
        sqlite3_bind_int64(shelf->lease, 1, (sqlite3_int64)shelf->count);
        sqlite3_bind_text(shelf->lease, 2, id, -1, SQLITE_STATIC);
        step(shelf, shelf->lease, "lease");
        sqlite3_bind_text(shelf->done, 1, id, -1, SQLITE_STATIC);
        step(shelf, shelf->done, "done");
    }
    step(shelf, shelf->commit, "commit");
    shelf->count += (unsigned long)count;
}

/* What the kernel has already, without waiting, up to about GROUP messages of 50 kB. Returns 0 at the end. */
static int gather(Peer *peer) {
    if (!fill(peer, 0)) return 0;
    size_t before;
    do {
        before = peer->end - peer->begin;
        if (before < (size_t)GROUP * 50000 && !fill(peer, MSG_DONTWAIT)) return 0;
    } while (peer->end - peer->begin > before);
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: durable PORT IN OUT FOLDER\n");
        return 2;
    }
    const char *in = argv[2], *out = argv[3];
    Shelf shelf = {0};
    open_shelf(&shelf, argv[4]);
    Peer peer = connect_to(atoi(argv[1]), "durable");
    subscribe(&peer, in, 1);
    puts("ready");
    fflush(stdout);
    uint16_t id = 0;
    Packet packets[GROUP];
    while (gather(&peer)) {
        for (int count = GROUP; count == GROUP;) {
            count = 0;
            while (count < GROUP && next(&peer, &packets[count])) count += packets[count].type == PUBLISH;
            if (!count) break;
            keep(&shelf, packets, count, in);
            for (int n = 0; n < count; n++) {
                uint8_t head[300];
                if (!++id) id = 1;
                size_t rest = packets[n].properties_size + packets[n].payload_size;
                struct iovec parts[2] = {{head, put_head(head, out, 1, id, rest)}, {packets[n].properties, rest}};
                write_all(peer.fd, parts, 2);
                acknowledge(peer.fd, packets[n].id);
            }
            settle(&shelf, count);
        }
    }
    return 0;
}
