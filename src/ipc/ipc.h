/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_IPC_IPC_H
#define FETTLE_IPC_IPC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/message.h"
#include "base/slice.h"

/*
 * The protocol between front/control and core, and between front and keys:
 * frames over a Unix stream socketpair. A frame is u32 length (of what
 * follows), u8 type, body; numbers big-endian. Descriptors ride as SCM_RIGHTS
 * on the frame that names them (FRAME_GRANT with has_fd). Every frame is bounded by
 * IPC_FRAME_MAX and parsed strictly: a byte too few or too many is an error
 * that ends the channel. Encoders append to a struct buf; decoders give slices
 * into the frame.
 */
#define IPC_BATCH_MAX 1024		/* requests in a batch */
/* All entries: a burst of new peers brings an ADMIT with every request, and closings ride along. */
#define IPC_ENTRIES_MAX (2 * IPC_BATCH_MAX + 256)
#define IPC_BATCH_BYTES (1u << 20)
#define IPC_FRAME_MAX (IPC_BATCH_BYTES + 65536)
#define IPC_REPLY_BYTES (8u << 20)	/* replies of one batch may need several frames */
#define IPC_CHUNK_MAX 65536
#define IPC_WORD_MAX 255		/* host, idempotency key */
#define IPC_CREDIT 4			/* upload chunks in flight */
#define IPC_FDS_MAX 64			/* descriptors waiting for their frame */

enum frame_type {
	/* front -> core */
	FRAME_BATCH = 1,	/* u32 number, u16 count, entries: ADMIT, REQUEST, CLOSED */
	FRAME_UPLOAD_OPEN = 2,	/* struct ipc_upload_open */
	FRAME_UPLOAD_CHUNK = 3, /* u32 upload, bytes */
	FRAME_UPLOAD_CLOSE = 4, /* u32 upload */
	FRAME_UPLOAD_ABORT = 5, /* u32 upload */
	FRAME_PONG = 6,
	/* u8 lane asked for: checked against the socketpair's own lane; then u32 pid */
	FRAME_HELLO = 7,
	FRAME_FIGURES = 8,	/* u8 how many, u64 each: enum front_figure */
	/* core -> front */
	FRAME_REPLIES = 32,	/* u32 batch number, u8 last, u16 count, responses */
	FRAME_GRANT = 33,
	FRAME_DROP = 34,	/* u64 session */
	FRAME_WITHDRAW = 35,	/* digest */
	FRAME_NOTIFY = 36,	/* path: observers of it look again */
	FRAME_UPLOAD_CREDIT = 37, /* u32 upload, u8 chunks, u64 offset (stored so far) */
	FRAME_UPLOAD_DONE = 38, /* u32 upload, response */
	FRAME_PING = 39,
	FRAME_READY = 40,	/* the core is up: requests may come */
	FRAME_SEND = 41,	/* struct ipc_send: call a device */
	/* front <-> keys */
	FRAME_KEY_ASK = 64,	/* u32 number, text identity */
	FRAME_KEY_ANSWER = 65,	/* u32 number, u8 found, key bytes (dummy when not found) */
};

enum entry_type { ENTRY_ADMIT = 1, ENTRY_REQUEST = 2, ENTRY_CLOSED = 3, ENTRY_SENT = 4 };

/*
 * A request of ours to a device, and what became of it. The front echoes tag: it means
 * nothing there, and the core believes of it only what its rows confirm.
 *
 * Each SEND brings one SENT; a front that is replaced takes its calls with it, and of more than
 * IPC_SENDS_MAX results that wait for a batch the last are lost: who orders a call looks at
 * its own clock, too. Calls to one peer go one after another, as they were ordered. A status is
 * the device's answer, or the front's own word:
 *   0    no last answer: not reached, silent, reset, its session ended, or an hour is over
 *        (offset tells how far it came: go on from there)
 *   410  the object is not granted (any more)
 *   413  the answer is longer than IPC_SENT_BODY_MAX
 *   502  the answer makes no sense
 *   503  no room: IPC_SENDS_MAX calls, IPC_SENDS_A_PEER of this peer, too many handshakes under
 *        way, or no key now: order it again later
 */
#define IPC_SENDS_MAX 4096		/* under way or waiting in a front */
#define IPC_SENDS_A_PEER 4
#define IPC_SEND_BODY_MAX 1024
#define IPC_SENT_BODY_MAX 1024
#define IPC_SEND_TAG 32
struct ipc_send {
	uint8_t tag[IPC_SEND_TAG];
	/* where: this session of the device while it is open and hears us, else the address */
	uint64_t session;		/* 0: none */
	uint8_t ip[16];
	uint16_t port;			/* 0: no address */
	char identity[IDENTITY_MAX + 1]; /* PSK identity for DTLS; "": plain CoAP */
	enum method method;
	char path[PATH_MAX_LEN + 1];	/* "/fettle/offer" */
	char query[64];			/* "update=7", or "" */
	enum media content_format, accept;	/* MEDIA_NONE: not said */
	struct slice body;		/* at most IPC_SEND_BODY_MAX; or: */
	bool has_object;		/* one granted to IPC_SESSION_SEND before: by Block1 */
	struct digest object;
	uint64_t offset;		/* of the object: where to begin, a multiple of 1024 */
};
struct ipc_sent {
	uint8_t tag[IPC_SEND_TAG];
	uint16_t status;		/* HTTP's numbers, or 0 */
	uint64_t offset;		/* of an object: how much was acknowledged */
	enum media media;
	struct slice body;		/* at most IPC_SENT_BODY_MAX; a longer one is none: 413 */
};

struct ipc_entry {
	enum entry_type type;
	uint64_t session;
	struct evidence evidence;	/* ENTRY_ADMIT */
	struct request request;		/* ENTRY_REQUEST; slices point into the frame */
	struct ipc_sent sent;		/* ENTRY_SENT */
};

/* Granted to nobody, for FRAME_SEND alone. It stays until it is withdrawn. */
#define IPC_SESSION_SEND UINT64_MAX
struct ipc_grant {
	uint64_t session;		/* 0: public */
	char path[PATH_MAX_LEN + 1];	/* the request path it answers, exactly */
	struct digest digest;
	uint64_t size;
	enum media media;
	int32_t max_age;		/* for the answers, -1 none */
	int64_t lifetime_ms;		/* from now; 0: until withdrawn or dropped */
	bool has_fd;			/* first grant of this object to this front */
};

struct ipc_upload_open {
	uint32_t upload;		/* the front's number */
	struct request request;		/* POST or PATCH with an empty body */
	bool has_size;
	uint64_t size;
	bool has_digest;
	struct digest digest;		/* Repr-Digest sha-256 */
	bool has_offset;
	uint64_t offset;		/* Upload-Offset of a PATCH */
	int8_t complete;		/* Upload-Complete: 1 ?1, 0 ?0, -1 absent */
};

/* Sticky reader over a frame body. */
struct rd {
	const uint8_t *p, *end;
	bool failed;
};
struct rd rd_init(struct slice s);
uint8_t rd_u8(struct rd *r);
uint16_t rd_u16(struct rd *r);
uint32_t rd_u32(struct rd *r);
uint64_t rd_u64(struct rd *r);
struct slice rd_bytes(struct rd *r, size_t n);
struct slice rd_blob16(struct rd *r, size_t max);	/* u16 length first */
struct slice rd_blob32(struct rd *r, size_t max);
bool rd_done(const struct rd *r);	/* not failed and nothing left */

/* Encoders: a whole frame each, appended to b. */
void ipc_put_u8(struct buf *b, uint8_t v);
void ipc_put_u16(struct buf *b, uint16_t v);
void ipc_put_u32(struct buf *b, uint32_t v);
void ipc_put_u64(struct buf *b, uint64_t v);
void ipc_put_blob16(struct buf *b, struct slice s);	/* u16 length first; sticky when longer */
void ipc_put_blob32(struct buf *b, struct slice s);
size_t ipc_begin(struct buf *b, enum frame_type t);	/* returns the mark for ipc_end */
void ipc_end(struct buf *b, size_t mark);
void ipc_put_admit(struct buf *b, uint64_t session, const struct evidence *ev);
void ipc_put_closed(struct buf *b, uint64_t session);
void ipc_put_request(struct buf *b, const struct request *rq);
void ipc_put_response(struct buf *b, const struct response *rs);
void ipc_put_grant(struct buf *b, const struct ipc_grant *g);	/* whole frame */
void ipc_put_upload_open(struct buf *b, const struct ipc_upload_open *o);	/* whole frame */
void ipc_put_send(struct buf *b, const struct ipc_send *s);	/* whole frame */
void ipc_put_sent(struct buf *b, const struct ipc_sent *s);	/* an entry of a batch */

/* Decoders: false (and r failed) on anything out of bounds. */
bool ipc_get_entry(struct rd *r, struct ipc_entry *out);
bool ipc_get_response(struct rd *r, struct response *out);
bool ipc_get_grant(struct rd *r, struct ipc_grant *out);
bool ipc_get_upload_open(struct rd *r, struct ipc_upload_open *out);
bool ipc_get_send(struct rd *r, struct ipc_send *out);

/*
 * A channel: non-blocking buffered I/O over one descriptor, with descriptor
 * passing. No event loop inside: the owner polls fd and calls channel_read when readable,
 * channel_write while channel_want_write.
 */
struct channel;
int channel_new(int fd, size_t out_max, struct channel **out, struct err *e);	/* takes fd over */
void channel_free(struct channel *c);
int channel_fd(const struct channel *c);
/* 1 something read, 0 would block, -1 closed or broken. */
int channel_read(struct channel *c, struct err *e);
/* Next whole frame: 1 and *type, *body (valid until the next channel_read), 0 none, -1 broken. */
int channel_next(struct channel *c, enum frame_type *type, struct slice *body, struct err *e);
int channel_take_fd(struct channel *c);	/* oldest received descriptor, or -1 */
/* The buffer to encode frames into; what is in it is queued. Owned by the channel. */
struct buf *channel_out(struct channel *c);
/*
 * Let a descriptor ride on the first byte of the frame encoded next. It is duplicated
 * here; the caller keeps its own. -1 when IPC_FDS_MAX are waiting or dup failed.
 */
int channel_attach_fd(struct channel *c, int fd);
int channel_write(struct channel *c, struct err *e);	/* 0, or -1 broken */
bool channel_want_write(const struct channel *c);
size_t channel_pending(const struct channel *c);	/* bytes waiting to be written */
/* Blocking with a timeout, for the keys question: whole frame in, whole frame out. */
int channel_write_all(struct channel *c, int timeout_ms, struct err *e);
int channel_read_frame(struct channel *c, int timeout_ms, enum frame_type *type, struct slice *body,
		       struct err *e);

#endif
