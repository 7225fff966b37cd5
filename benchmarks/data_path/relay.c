/* The yardstick of the data path: what a program without an interpreter does over the same broker.
 *
 *   relay relay PORT IN OUT QOS
 *       Passes every message of topic IN on to topic OUT, until the connection ends.
 *   relay ends PORT IN OUT QOS COUNT FILE TYPE RATE WINDOW [RESULTS INCARNATION]
 *       Publishes COUNT messages with the bytes of FILE, of content type TYPE, to IN and receives them
 *       from OUT. RATE a second, or as fast as they return with WINDOW under way when it is 0. With
 *       RESULTS, what comes are jobs of a hub, and each is answered there as done. A % in IN stands for
 *       the number of one of 64 cameras, which take turns. Prints one line of JSON.
 *
 * Plain MQTT 5 over a loopback socket, TCP_NODELAY, no library. A message carries what a frame of a
 * camera carries beside its bytes: a content type and user properties, and its number in the end of its
 * id. The relay acknowledges a QoS 1 message once it is passed on, as the hub's session does.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { CAMERAS = 64, PUBLISH = 3, PUBACK = 4, SUBACK = 9, INFLIGHT = 20, PATIENCE_MS = 10000 };

typedef struct {
    int fd;
    uint8_t *buffer;
    size_t capacity, begin, end;
} Peer;

typedef struct {
    uint8_t type, qos;
    uint16_t id;
    uint8_t *properties, *payload; /* the property block with its length in front */
    size_t properties_size, payload_size;
} Packet;

static void die(const char *what) {
    fprintf(stderr, "relay: %s: %s\n", what, errno ? strerror(errno) : "unexpected");
    exit(1);
}

static void write_all(int fd, struct iovec *parts, int count) {
    while (count) {
        ssize_t n = writev(fd, parts, count);
        if (n < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN) {
                struct pollfd room = {fd, POLLOUT, 0};
                poll(&room, 1, -1);
                continue;
            }
            die("write");
        }
        while (count && (size_t)n >= parts->iov_len) {
            n -= (ssize_t)parts->iov_len;
            parts++;
            count--;
        }
        if (count) {
            parts->iov_base = (uint8_t *)parts->iov_base + n;
            parts->iov_len -= (size_t)n;
        }
    }
}

static size_t put_length(uint8_t *at, size_t value) {
    size_t n = 0;
    do {
        at[n] = (uint8_t)(value % 128);
        value /= 128;
        if (value) at[n] |= 0x80;
        n++;
    } while (value);
    return n;
}

static size_t put_string(uint8_t *at, const char *text) {
    size_t n = strlen(text);
    at[0] = (uint8_t)(n >> 8);
    at[1] = (uint8_t)n;
    memcpy(at + 2, text, n);
    return n + 2;
}

/* The fixed header, topic and packet id of a PUBLISH whose properties and payload have `rest` bytes. */
static size_t put_head(uint8_t *at, const char *topic, int qos, uint16_t id, size_t rest) {
    size_t n = 1;
    at[0] = (uint8_t)(0x30 | (qos << 1));
    n += put_length(at + 1, 2 + strlen(topic) + (qos ? 2 : 0) + rest);
    n += put_string(at + n, topic);
    if (qos) {
        at[n++] = (uint8_t)(id >> 8);
        at[n++] = (uint8_t)id;
    }
    return n;
}

static void acknowledge(int fd, uint16_t id) {
    uint8_t bytes[4] = {0x40, 2, (uint8_t)(id >> 8), (uint8_t)id};
    struct iovec part = {bytes, 4};
    write_all(fd, &part, 1);
}

/* Read what has come. Returns 0 at the end of the connection. */
static int fill(Peer *peer, int flags) {
    if (peer->begin == peer->end) peer->begin = peer->end = 0;
    if (peer->end == peer->capacity) {
        memmove(peer->buffer, peer->buffer + peer->begin, peer->end - peer->begin);
        peer->end -= peer->begin;
        peer->begin = 0;
        if (peer->end == peer->capacity) {
            peer->capacity *= 2;
            peer->buffer = realloc(peer->buffer, peer->capacity);
            if (!peer->buffer) die("memory");
        }
    }
    ssize_t n = recv(peer->fd, peer->buffer + peer->end, peer->capacity - peer->end, flags);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 1;
    if (n <= 0) return 0;
    peer->end += (size_t)n;
    return 1;
}

/* The next whole packet in the buffer, if there is one. */
static int next(Peer *peer, Packet *packet) {
    uint8_t *at = peer->buffer + peer->begin;
    size_t have = peer->end - peer->begin, length = 0, head = 1;
    for (int shift = 0;; shift += 7, head++) {
        if (have < head + 1) return 0;
        length |= (size_t)(at[head] & 0x7f) << shift;
        if (!(at[head] & 0x80)) break;
    }
    head++;
    if (have < head + length) return 0;
    packet->type = at[0] >> 4;
    packet->qos = (at[0] >> 1) & 3;
    uint8_t *body = at + head;
    if (packet->type == PUBLISH) {
        size_t n = 2 + ((size_t)body[0] << 8 | body[1]);
        if (packet->qos) {
            packet->id = (uint16_t)(body[n] << 8 | body[n + 1]);
            n += 2;
        }
        size_t size = 0, digits = 0;
        do size |= (size_t)(body[n + digits] & 0x7f) << (7 * digits);
        while (body[n + digits++] & 0x80);
        packet->properties = body + n;
        packet->properties_size = digits + size;
        packet->payload = body + n + digits + size;
        packet->payload_size = length - n - digits - size;
    } else if (length >= 2) {
        packet->id = (uint16_t)(body[0] << 8 | body[1]);
    }
    peer->begin += head + length;
    return 1;
}

static Peer connect_to(int port, const char *name) {
    Peer peer = {socket(AF_INET, SOCK_STREAM, 0), malloc(1 << 20), 1 << 20, 0, 0};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (peer.fd < 0 || !peer.buffer || connect(peer.fd, (struct sockaddr *)&address, sizeof address))
        die("connect");
    int one = 1;
    setsockopt(peer.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    uint8_t bytes[256];
    size_t length = 6 + 1 + 1 + 2 + 1 + 2 + strlen(name), n = 0;
    bytes[n++] = 0x10;
    n += put_length(bytes + n, length);
    n += put_string(bytes + n, "MQTT");
    bytes[n++] = 5;
    bytes[n++] = 2; /* clean start */
    bytes[n++] = 0;
    bytes[n++] = 0; /* no keep-alive */
    bytes[n++] = 0; /* no properties */
    n += put_string(bytes + n, name);
    struct iovec part = {bytes, n};
    write_all(peer.fd, &part, 1);
    Packet packet;
    do {
        if (!fill(&peer, 0)) die("the broker refused the connection");
    } while (!next(&peer, &packet));
    if (packet.type != 2) die("no CONNACK");
    return peer;
}

static void subscribe(Peer *peer, const char *topic, int qos) {
    uint8_t bytes[256];
    size_t n = 0;
    bytes[n++] = 0x82;
    n += put_length(bytes + n, 2 + 1 + 2 + strlen(topic) + 1);
    bytes[n++] = 0;
    bytes[n++] = 1;
    bytes[n++] = 0;
    n += put_string(bytes + n, topic);
    bytes[n++] = (uint8_t)qos;
    struct iovec part = {bytes, n};
    write_all(peer->fd, &part, 1);
    Packet packet;
    do {
        if (!fill(peer, 0)) die("the broker refused the subscription");
    } while (!next(peer, &packet) || packet.type != SUBACK);
}

#ifndef RELAY_PARTS /* durable.c takes what is above */
static int relay(int port, const char *in, const char *out, int qos) {
    Peer peer = connect_to(port, "relay");
    subscribe(&peer, in, qos);
    puts("ready");
    fflush(stdout);
    uint16_t id = 0;
    Packet packet;
    while (fill(&peer, 0)) {
        while (next(&peer, &packet)) {
            if (packet.type != PUBLISH) continue;
            uint8_t head[300];
            if (!++id) id = 1;
            size_t rest = packet.properties_size + packet.payload_size;
            struct iovec parts[2] = {{head, put_head(head, out, qos, id, rest)}, {packet.properties, rest}};
            write_all(peer.fd, parts, 2); /* properties and payload lie side by side */
            if (packet.qos) acknowledge(peer.fd, packet.id);
        }
    }
    return 0;
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* What rides beside message `number`; every run has ids of its own. */
static size_t put_properties(uint8_t *at, const char *type, uint32_t run, uint32_t number) {
    char id[40], captured[64], second[24];
    struct timespec now;
    struct tm calendar;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &calendar);
    strftime(second, sizeof second, "%Y-%m-%dT%H:%M:%S", &calendar);
    snprintf(captured, sizeof captured, "%s.%03ldZ", second, now.tv_nsec / 1000000);
    snprintf(id, sizeof id, "%08x-0000-7000-8000-0000%08x", run, number);
    const char *pairs[][2] = {{"schema", "1"}, {"id", id}, {"captured-at", captured}, {"trigger", "motion"}};
    uint8_t block[300];
    size_t n = 0;
    block[n++] = 0x03; /* content type */
    n += put_string(block + n, type);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        block[n++] = 0x26; /* user property */
        n += put_string(block + n, pairs[i][0]);
        n += put_string(block + n, pairs[i][1]);
    }
    size_t digits = put_length(at, n);
    memcpy(at + digits, block, n);
    return digits + n;
}

/* The value behind `name` in the properties: up to `end`, at most 39 bytes. Returns whether it is there. */
static int value_of(const Packet *packet, const char *name, char end, char *value) {
    const uint8_t *at = memmem(packet->properties, packet->properties_size, name, strlen(name));
    if (!at) return 0;
    at += strlen(name);
    size_t n = 0;
    while (n < 39 && at + n < packet->payload && at[n] != (uint8_t)end) value[n] = (char)at[n], n++;
    value[n] = 0;
    return 1;
}

/* The number of a message of this run, or -1. A hub's job names it as its media. */
static long number_of(const Packet *packet, uint32_t run) {
    char id[40];
    unsigned found, number;
    if (!value_of(packet, "\"media\":\"", '"', id)) {
        const uint8_t *at = memmem(packet->properties, packet->properties_size, "\x26\0\2id\0\x24", 7);
        if (!at || at + 7 + 36 > packet->payload) return -1;
        memcpy(id, at + 7, 36);
        id[36] = 0;
    }
    if (sscanf(id, "%8x-0000-7000-8000-0000%8x", &found, &number) != 2 || found != run) return -1;
    return (long)number;
}

/* "Done", as a worker says it. */
static void answer(int fd, const Packet *packet, const char *results, const char *incarnation, uint16_t id) {
    char job[40], token[40], body[400];
    if (!value_of(packet, "\"job\":\"", '"', job) || !value_of(packet, "\"token\":", ',', token)) return;
    int size = snprintf(body, sizeof body,
                        "{\"schema\":1,\"job\":\"%s\",\"token\":%s,\"incarnation\":\"%s\",\"state\":\"done\","
                        "\"frames\":1,\"seconds\":0.00001,\"waited\":0}",
                        job, token, incarnation);
    uint8_t head[300], none = 0;
    struct iovec parts[3] = {{head, put_head(head, results, 1, id, 1 + (size_t)size)}, {&none, 1}, {body, (size_t)size}};
    write_all(fd, parts, 3);
}

/* The topic of message `number`. */
static const char *topic_of(const char *pattern, long number, char *topic, size_t room) {
    const char *gap = strchr(pattern, '%');
    if (!gap) return pattern;
    snprintf(topic, room, "%.*s%ld%s", (int)(gap - pattern), pattern, number % CAMERAS, gap + 1);
    return topic;
}

typedef struct {
    const char *in, *out, *type, *results, *incarnation;
    int port, qos;
    long count, window;
    double rate;
} Task;

static uint8_t *read_file(const char *name, size_t *size) {
    FILE *file = fopen(name, "rb");
    if (!file || fseek(file, 0, SEEK_END)) die(name);
    *size = (size_t)ftell(file);
    uint8_t *data = malloc(*size);
    rewind(file);
    if (!data || fread(data, 1, *size, file) != *size) die(name);
    fclose(file);
    return data;
}

static int ends(const Task *task, const char *file) {
    Peer source = connect_to(task->port, "source"), sink = connect_to(task->port, "sink");
    int qos = task->qos;
    long count = task->count;
    double rate = task->rate;
    subscribe(&sink, task->out, qos);
    fcntl(source.fd, F_SETFL, O_NONBLOCK);
    size_t size, length = 0, written = 0;
    uint8_t *payload = read_file(file, &size), *message = malloc(size + 1024);
    uint64_t *took = calloc((size_t)count, sizeof *took), *due = calloc((size_t)count, sizeof *due);
    if (!message || !took || !due) die("memory");
    long sent = 0, received = 0, confirmed = 0;
    uint64_t began = now_ns();
    uint32_t run = (uint32_t)(began >> 10);
    Packet packet;
    while (received < count) {
        uint64_t now = now_ns();
        uint64_t at = rate > 0 ? began + (uint64_t)((double)sent * 1e9 / rate) : now;
        if (written == length && sent < count && now >= at && (rate > 0 || sent - received < task->window) &&
            (!qos || sent - confirmed < INFLIGHT)) {
            uint8_t properties[400];
            char topic[200];
            size_t block = put_properties(properties, task->type, run, (uint32_t)sent);
            length = put_head(message, topic_of(task->in, sent, topic, sizeof topic), qos, (uint16_t)(sent % 65535 + 1), block + size);
            memcpy(message + length, properties, block);
            memcpy(message + length + block, payload, size);
            length += block + size;
            written = 0;
            due[sent++] = now;
        }
        if (written < length) {
            ssize_t n = send(source.fd, message + written, length - written, 0);
            if (n < 0 && errno != EAGAIN && errno != EINTR) die("write");
            if (n > 0) written += (size_t)n;
        }
        struct pollfd fds[2] = {{sink.fd, POLLIN, 0},
                                {source.fd, (short)(POLLIN | (written < length ? POLLOUT : 0)), 0}};
        uint64_t rest = PATIENCE_MS * 1000000ull;
        if (written == length && sent < count && (!qos || sent - confirmed < INFLIGHT)) {
            if (rate > 0) {
                at = began + (uint64_t)((double)sent * 1e9 / rate);
                now = now_ns();
                rest = at > now ? at - now : 0;
            } else if (sent - received < task->window) {
                rest = 0;
            }
        }
        struct timespec patience = {(time_t)(rest / 1000000000u), (long)(rest % 1000000000u)};
        int ready = ppoll(fds, 2, &patience, NULL);
        if (!ready && rest >= PATIENCE_MS * 1000000ull) break; /* something was lost */
        if (fds[1].revents & POLLIN) {
            if (!fill(&source, 0)) die("the broker hung up on the source");
            while (next(&source, &packet)) confirmed += packet.type == PUBACK;
        }
        if (fds[0].revents) {
            if (!fill(&sink, 0)) die("the broker hung up on the sink");
            while (next(&sink, &packet)) {
                if (packet.type != PUBLISH) continue;
                long number = number_of(&packet, run);
                if (number >= 0 && number < count && due[number]) {
                    took[received++] = now_ns() - due[number];
                    due[number] = 0; /* a second copy counts for nothing */
                }
                if (packet.qos) acknowledge(sink.fd, packet.id);
                if (task->results)
                    answer(sink.fd, &packet, task->results, task->incarnation, (uint16_t)(received % 65535 + 1));
            }
        }
    }
    double seconds = (double)(now_ns() - began) / 1e9;
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    qsort(took, (size_t)received, sizeof *took, by_value);
    printf("{\"received\": %ld, \"seconds\": %.6f, \"cpu\": %.6f, \"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f}\n",
           received, seconds, cpu, received ? (double)took[received / 2] / 1e3 : 0,
           received ? (double)took[received * 99 / 100] / 1e3 : 0,
           received ? (double)took[received - 1] / 1e3 : 0);
    return received < count;
}

int main(int argc, char **argv) {
    if (argc == 6 && !strcmp(argv[1], "relay"))
        return relay(atoi(argv[2]), argv[3], argv[4], atoi(argv[5]));
    if ((argc == 11 || argc == 13) && !strcmp(argv[1], "ends")) {
        Task task = {.in = argv[3], .out = argv[4], .type = argv[8], .port = atoi(argv[2]), .qos = atoi(argv[5]),
                     .count = atol(argv[6]), .rate = atof(argv[9]), .window = atol(argv[10])};
        if (argc == 13) task.results = argv[11], task.incarnation = argv[12];
        return ends(&task, argv[7]);
    }
    fprintf(stderr, "usage: relay relay PORT IN OUT QOS\n"
                    "       relay ends PORT IN OUT QOS COUNT FILE TYPE RATE WINDOW [RESULTS INCARNATION]\n");
    return 2;
}
#endif
