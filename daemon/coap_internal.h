/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_COAP_INTERNAL_H
#define FETTLE_DAEMON_COAP_INTERNAL_H

#include "daemon/coap.h"
#include "daemon/coap_wire.h"

/*
 * What coap*.c share. A peer is whom we talk with: an address on plain UDP, or a
 * DTLS session. Requests, answers, de-duplication, Block1 bodies and observations
 * hang on peers and do not know which it is; coap_plain.c and coap_dtls.c carry bytes.
 */
#define ANSWERED_A_PEER 16u /* answers remembered for retransmissions */
#define PENDING_A_PEER 64u
#define EXCHANGES_MAX 32768u
#define EXCHANGE_LIFETIME_MS 247000 /* RFC 7252 4.8.2 */
#define SEPARATE_AFTER_MS 1500 /* ACK_TIMEOUT is 2 s */
#define BODIES_MAX 1024u
#define BODY_TIMEOUT_MS 60000
#define KEPT_BYTES_MAX (4u << 20) /* answers cut into blocks, one a peer, all together */
#define KEPT_MS 60000 /* unused */
#define OBSERVERS_MAX 65536u
#define OBSERVERS_A_PEER 8u
#define PROVEN_MS 600000 /* an Echo proves an address for so long */
#define RETRY_BUSY_S 5

struct udp;
struct dtls;
struct dtls_session;

struct udp_addr {
	uint8_t ip[16], local[16]; /* IPv4 as mapped; local: where it came in */
	uint32_t scope, ifindex;
	uint16_t port;
	uint8_t socket;
	bool has_local;
};

struct link {
	struct link *next, *prev;
}; /* ring with a head */

struct exchange { /* one request and its answer */
	struct link all; /* server's, by age: pending or answered */
	struct exchange *next, **at; /* of its peer */
	struct coap_peer *peer;
	uint8_t token[WIRE_TOKEN_MAX];
	uint8_t tkl, no_response;
	enum wire_type type;
	uint16_t mid;
	enum method method;
	bool pending, acked; /* acked: an empty ACK went out */
	uint32_t request; /* the front's id while pending */
	int64_t since;
	struct wire_block block1, block2;
	uint64_t what; /* it asks for: kept_what() */
	struct observer *observer; /* candidate, until the core accepts it */
	uint8_t *answer; /* datagram as sent, for retransmissions */
	size_t answer_n;
};

struct body { /* a Block1 transfer under way, one a peer */
	struct link all; /* server's, oldest first */
	struct coap_peer *peer;
	struct buf bytes;
	enum method method;
	uint8_t tag[8], tag_n;
	int64_t touched;
	char path[PATH_MAX_LEN + 1];
};

struct observer {
	struct observer *chain, **chain_at; /* same path */
	struct observer *next, **at; /* of its peer */
	struct coap_peer *peer;
	uint32_t hash;
	uint8_t token[WIRE_TOKEN_MAX];
	uint8_t tkl;
	bool listed;
	bool again; /* look again when what is under way ends */
	uint32_t request; /* under way to the core, 0: none */
	uint16_t mid; /* of the notification in flight */
	bool in_flight;
	uint32_t sequence;
	int64_t told; /* when it last heard how things stand */
	enum media accept;
	uint8_t szx;
	uint64_t what; /* kept_what() */
	struct link dirty; /* waits for room in a batch */
	bool is_dirty;
	char *query; /* behind path */
	char path[];
};

enum confirmed_for { FOR_ANSWER, FOR_OBSERVER, FOR_PUSH };

struct confirmable { /* a CON of ours without its ACK */
	struct link all;
	struct confirmable *next, **at; /* of its peer */
	struct coap_peer *peer;
	enum confirmed_for whose;
	uint16_t mid;
	uint8_t tries;
	int64_t due, wait;
	size_t n;
	uint8_t bytes[];
};

struct coap_peer {
	struct coap_server *cs;
	struct coap_peer *chain, **at; /* address bucket; unused for DTLS */
	struct udp_addr addr; /* DTLS: that of its first request */
	struct dtls_session *dtls; /* NULL: plain UDP */
	uint64_t session; /* the front's */
	int64_t proven_until;
	uint16_t next_mid;
	struct exchange *exchanges;
	unsigned n_pending, n_answered;
	struct body *body;
	struct kept *kept;
	struct observer *observers;
	unsigned n_observers;
	struct confirmable *confirmables;
	struct push *pushes; /* calls of ours: the first is under way */
	unsigned n_pushes;
	bool deaf; /* it let the last call go by, and said nothing since */
	bool heard; /* the last separate response to one had this mid */
	uint16_t heard_mid;
};

#define PEER_BUCKETS 65536u
#define OBSERVER_BUCKETS 16384u

struct coap_server {
	struct front *front;
	struct coap_options o;
	struct udp *udp;
	struct dtls *dtls;
	uint64_t seed;
	uint16_t stranger_mid; /* of answers to strangers' NONs */
	unsigned sweep; /* bucket of observers to look at next */
	int64_t now; /* monotonic ms, read once a turn */
	struct coap_peer **peers;
	struct link pending, answered, bodies, confirmables, dirty, kept, pushes;
	size_t kept_bytes;
	unsigned n_exchanges, n_bodies, n_observers, n_confirmables, n_pushes;
	struct observer **observers;
	struct wire_msg msg; /* the request being handled */
	struct wire_out out; /* the answer being written */
	uint64_t busy, challenged, dropped;
};

/* coap.c */
void link_init(struct link *head);
void link_add(struct link *head, struct link *l); /* at the end */
void link_del(struct link *l);
bool link_empty(const struct link *head);
#define LINK_OF(l, type, member) ((type *)(void *)((char *)(l)-offsetof(type, member)))

/* coap_peer.c */
/* Keyed: whoever picks addresses must not be able to pick a bucket. */
uint64_t address_hash(uint64_t seed, const struct udp_addr *a);
bool address_same(const struct udp_addr *a, const struct udp_addr *b);
/* One asker, as far as addresses tell: an IPv4 address, or an IPv6 /64, whatever the port. */
bool address_same_source(const struct udp_addr *a, const struct udp_addr *b);
uint64_t address_source_hash(uint64_t seed, const struct udp_addr *a);
struct coap_peer *peer_find(struct coap_server *cs, const struct udp_addr *a);
struct coap_peer *peer_add_plain(struct coap_server *cs, const struct udp_addr *a,
				 int64_t proven_until);
struct coap_peer *peer_add_dtls(struct coap_server *cs, struct dtls_session *s,
				const struct evidence *ev);
void peer_end(struct coap_peer *p, bool tell_front);
/* Whose session it is; NULL: it is over, or no CoAP session. */
struct coap_peer *peer_of_session(struct coap_server *cs, uint64_t session);
/* Something can be sent to it: its handshake is over. */
bool peer_open(const struct coap_peer *p);
bool address_trusted(const struct coap_options *o, const uint8_t ip[16]);
/* RFC 9175: 8 bytes that only this process could have made for this address, lately. */
#define ECHO_SIZE 8
void echo_make(const uint8_t secret[32], const struct udp_addr *a, int64_t slot,
	       uint8_t out[ECHO_SIZE]);
bool echo_fresh(const uint8_t secret[32], const struct udp_addr *a, int64_t now, struct slice echo);
#define ECHO_SLOT_MS 128000

/* coap_request.c: a request of a proven peer, in cs->msg */
void request_handle(struct coap_peer *p, const struct wire_msg *m);
void request_from_msg(const struct coap_server *cs, const struct wire_msg *m, struct request *rq);
bool method_of(uint8_t code, enum method *out);
enum media media_of(const struct coap_server *cs, int32_t content_format); /* -1: none */

/* coap_body.c: Block1. 1: *body is whole; 0: answered, more is to come or it was refused. */
int body_block(struct exchange *x, const struct wire_msg *m, struct slice *body);
void body_free(struct coap_server *cs, struct body *b);
void bodies_expire(struct coap_server *cs);

/* coap_exchange.c */
struct exchange *exchange_find(struct coap_peer *p, uint16_t mid);
struct exchange *exchange_new(struct coap_peer *p, const struct wire_msg *m, enum method method);
void exchange_free(struct exchange *x);
void exchanges_tick(struct coap_server *cs);
void exchange_repeat(struct exchange *x, const struct wire_msg *m);
/* Begin the answer in cs->out: ACK, or NON, or separate CON. */
struct wire_out *exchange_begin(struct exchange *x, uint8_t code);
/* Send cs->out and remember or forget the exchange. */
void exchange_send(struct exchange *x);
void exchange_fail(struct exchange *x, uint8_t code, int32_t retry_s);

/* coap_reply.c */
void reply_from_core(void *ctx, const struct response *rs); /* ctx: struct exchange */
/* Body as options and payload behind what o holds; false: it has no such block (4.00). */
struct content {
	struct slice bytes;
	struct etag etag;
	int format; /* -1: none */
	int32_t max_age;
	bool observe;
	uint32_t sequence;
	const char *location;
	const struct wire_block *block1, *block2;
};
bool content_write(struct wire_out *o, const struct content *c);
int content_format_of(const struct coap_server *cs, enum media m);

/* coap_kept.c: what is sent in blocks stays as it was until the last of them */
uint64_t kept_what(const struct coap_server *cs, const struct wire_msg *m);
void kept_put(struct coap_peer *p, uint64_t what, const struct content *c); /* for the last one */
/* A block after the first, of what the peer began with. */
bool kept_find(struct coap_peer *p, const struct wire_msg *m, struct content *out);
void kept_free(struct coap_peer *p);
void kept_expire(struct coap_server *cs);

/* coap_observe.c */
struct observer *observer_new(struct coap_peer *p, const struct wire_msg *m);
void observer_accept(struct observer *o); /* replaces one of the same token; gives o to the peer */
void observer_free(struct observer *o);
struct observer *observer_find(struct coap_peer *p, const uint8_t *token, size_t tkl);
uint32_t observer_sequence(struct observer *o);
void observers_notify(void *ctx, const char *path); /* ctx: the server */
void observers_retry(struct coap_server *cs);
/* The notification with this id was acknowledged, or refused or given up. */
void observer_settled(struct coap_peer *p, uint16_t mid, bool ok);

/* coap_send.c: to either kind of peer. Payload is copied, or (stable) lives until the turn ends. */
void peer_send(struct coap_peer *p, const struct wire_out *o, bool stable);
void peer_send_bytes(struct coap_peer *p, struct slice message);
void peer_send_empty(struct coap_peer *p, enum wire_type t, uint16_t mid);
uint16_t peer_mid(struct coap_peer *p);
/* Retransmit it until it is acknowledged. False: no room. */
bool confirmable_add(struct coap_peer *p, const struct wire_out *o, uint16_t mid,
		     enum confirmed_for whose);
void confirmable_settle(struct coap_peer *p, uint16_t mid, bool ok);
void confirmable_forget(struct coap_peer *p, uint16_t mid); /* nobody is told */
void confirmable_free(struct confirmable *c);
void confirmables_tick(struct coap_server *cs);

/* coap_udp.c */
struct udp_options {
	const struct listen_addr *listen;
	unsigned n;
	void (*take)(void *ctx, const struct udp_addr *from, struct slice datagram);
	/* NULL, or: each of those that came together, before the first is taken */
	void (*ahead)(void *ctx, const struct udp_addr *from, struct slice datagram);
	void *ctx;
};
int udp_new(const struct udp_options *o, struct udp **out, struct err *e);
void udp_free(struct udp *u);
int udp_fds(const struct udp *u, int *fds, int limit);
void udp_io(struct udp *u); /* 64 datagrams a socket at most */
bool udp_behind(const struct udp *u); /* that many came: there may be more */
void udp_flush(struct udp *u);
void udp_send(struct udp *u, const struct udp_addr *to, const struct wire_out *o, bool stable);
void udp_send_bytes(struct udp *u, const struct udp_addr *to, struct slice bytes);

/* The sockets that reach this address, best first, into out; how many. */
unsigned udp_routes(const struct udp *u, const struct udp_addr *a, uint8_t out[COAP_LISTEN_MAX]);

/* coap_plain.c */
int plain_new(struct coap_server *cs, struct err *e);
/* The peer at an address that the core wants called; NULL and *why (503): no room. */
struct coap_peer *plain_call(struct coap_server *cs, const struct udp_addr *a, uint16_t *why);

/* coap_push.c: calls of ours (struct push) */
void pushes_order(void *ctx, const struct ipc_send *s); /* ctx: the server */
void pushes_go(struct coap_peer *p); /* the next one, when none is under way */
void pushes_end(struct coap_peer *p); /* all of a peer that ends */
void pushes_tick(struct coap_server *cs);
void push_answered(struct coap_peer *p, const struct wire_msg *m); /* a response came */
void push_settled(struct coap_peer *p, uint16_t mid, bool ok); /* as observer_settled */

/* coap_gate.c: what becomes of a message, without any state for its sender */
enum gate_verdict {
	GATE_DROP,
	GATE_REQUEST,
	GATE_PING, /* answer with a reset of the same size */
	GATE_SETTLED, /* ACK or RST of something of ours */
	GATE_RESPONSE, /* perhaps to a call of ours */
};
bool port_reflects(uint16_t port); /* whoever listens there answers anything */
enum gate_verdict gate_judge(struct wire_msg *m, struct slice datagram, uint16_t port);
/* The answer to a request from an address not proven: never longer than what came. */
void gate_challenge(struct wire_out *o, const struct wire_msg *m, size_t came, uint16_t mid,
		    const uint8_t echo[ECHO_SIZE]);

/* coap_dtls.c */
int dtls_new(struct coap_server *cs, struct err *e);
void dtls_free(struct dtls *d);
int dtls_fds(const struct dtls *d, int *fds, int limit);
void dtls_io(struct dtls *d);
void dtls_flush(struct dtls *d);
void dtls_tick(struct dtls *d); /* lost flights, handshakes and sessions that are over */
void dtls_figures(const struct dtls *d, uint64_t out[FIGURE_COUNT]);
void dtls_set_keys(struct dtls *d, int fd);
void dtls_send(struct dtls_session *s, const struct wire_out *o);
void dtls_send_bytes(struct dtls_session *s, struct slice message);
void dtls_close(struct dtls_session *s); /* close_notify; the session goes */
bool dtls_is_open(const struct dtls_session *s);
/*
 * The peer at an address, as identity: over the session that is there, else a handshake of
 * ours begins and its calls wait for it. NULL and *why: 0 somebody else is there, 503 no room.
 */
struct coap_peer *dtls_call(struct dtls *d, const struct udp_addr *a, const char *identity,
			    uint16_t *why);

#endif
