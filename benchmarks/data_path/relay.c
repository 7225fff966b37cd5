/* The yardstick of the data path: what a program without an interpreter does over the same broker.
 *
 *   relay relay PORT IN OUT QOS
 *       Passes every message of topic IN on to topic OUT, until the connection ends.
 *   relay ends PORT IN OUT QOS COUNT SIZE RATE WINDOW
 *       Publishes COUNT messages of SIZE bytes to IN and receives them from OUT. RATE a second, or as
 *       fast as they return with WINDOW under way when it is 0. Prints one line of JSON.
 *
 * Plain MQTT 5 over a loopback socket, TCP_NODELAY, no library. A message carries what a frame of a
 * camera carries beside its bytes: a content type and three user properties. It acknowledges a QoS 1
 * message once it is passed on, as the hub's session does.
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

enum { PUBLISH = 3, PUBACK = 4, SUBACK = 9, INFLIGHT = 20, PATIENCE_MS = 10000 };

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

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
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

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static size_t put_properties(uint8_t *at) {
    static const char *pairs[3][2] = {{"schema", "1"},
                                      {"id", "019a9f2e-6b1c-7d3e-8f4a-5b6c7d8e9f01"},
                                      {"captured-at", "2026-11-20T08:15:00.250Z"}};
    uint8_t block[200];
    size_t n = 0;
    block[n++] = 0x03; /* content type */
    n += put_string(block + n, "image/jpeg");
    for (int i = 0; i < 3; i++) {
        block[n++] = 0x26; /* user property */
        n += put_string(block + n, pairs[i][0]);
        n += put_string(block + n, pairs[i][1]);
    }
    size_t digits = put_length(at, n);
    memcpy(at + digits, block, n);
    return digits + n;
}

static int ends(int port, const char *in, const char *out, int qos, long count, size_t size, double rate,
                long window) {
    Peer source = connect_to(port, "source"), sink = connect_to(port, "sink");
    subscribe(&sink, out, qos);
    fcntl(source.fd, F_SETFL, O_NONBLOCK);
    uint8_t *message = calloc(1, size + 512), properties[256];
    uint64_t *took = calloc((size_t)count, sizeof *took), *due = calloc((size_t)count, sizeof *due);
    if (!message || !took || !due) die("memory");
    size_t block = put_properties(properties), length = 0, written = 0;
    long sent = 0, received = 0, confirmed = 0;
    uint64_t began = now_ns();
    Packet packet;
    while (received < count) {
        uint64_t now = now_ns();
        uint64_t at = rate > 0 ? began + (uint64_t)((double)sent * 1e9 / rate) : now;
        if (written == length && sent < count && now >= at && (rate > 0 || sent - received < window) &&
            (!qos || sent - confirmed < INFLIGHT)) {
            length = put_head(message, in, qos, (uint16_t)(sent % 65535 + 1), block + size);
            memcpy(message + length, properties, block);
            length += block;
            uint32_t number = (uint32_t)sent;
            memcpy(message + length, &number, sizeof number);
            length += size;
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
            } else if (sent - received < window) {
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
                uint32_t number;
                memcpy(&number, packet.payload, sizeof number);
                if (number < (uint32_t)count) took[received++] = now_ns() - due[number];
                if (packet.qos) acknowledge(sink.fd, packet.id);
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
    if (argc == 10 && !strcmp(argv[1], "ends"))
        return ends(atoi(argv[2]), argv[3], argv[4], atoi(argv[5]), atol(argv[6]), (size_t)atol(argv[7]),
                    atof(argv[8]), atol(argv[9]));
    fprintf(stderr, "usage: relay relay PORT IN OUT QOS | relay ends PORT IN OUT QOS COUNT SIZE RATE WINDOW\n");
    return 2;
}
