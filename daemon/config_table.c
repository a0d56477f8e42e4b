/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <stddef.h>

#include "daemon/config_internal.h"

#ifndef FETTLE_STATEDIR
#define FETTLE_STATEDIR "/var/lib/fettle"
#endif
#ifndef FETTLE_RUNDIR
#define FETTLE_RUNDIR "/run/fettle"
#endif

#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)
#define GIB (KIB * MIB)
#define SECOND UINT64_C(1000)

#define AT(field) offsetof(struct config, field)

/* Order is the order of the file. The texts are the comments of etc/fettled.conf. */
const struct config_key config_keys[] = {
	{ "server", "data_dir", KEY_TYPE_PATH, AT(server.data_dir), FETTLE_STATEDIR, 0, 0, NULL,
	  "Where the databases and the cache of images live.", true },
	{ "server", "cache_size", KEY_TYPE_SIZE, AT(server.cache_size), "1G", 16 * MIB, 16384 * GIB,
	  "bytes", "Budget of the cache of images and manifests being served.", true },
	{ "server", "user", KEY_TYPE_USER, AT(server.user), "fettle", 0, 0, NULL,
	  "Whom to become when started as root by hand.", true },
	{ "server", "log_level", KEY_TYPE_LEVEL, AT(server.log_level), "info", 0, 0, NULL,
	  "error, warn, notice, info or debug.", false },

	{ "coap", "listen", KEY_TYPE_LISTEN, AT(coap.listen), "127.0.0.1:5683", 0, COAP_LISTEN_MAX,
	  "addresses", "Plain CoAP over UDP: loopback only unless insecure = yes. Empty: none.",
	  false },
	{ "coap", "listen_dtls", KEY_TYPE_LISTEN, AT(coap.listen_dtls), "*:5684", 0,
	  COAP_LISTEN_MAX, "addresses",
	  "CoAP over DTLS with a key per device. * is every address. Empty: none.", false },
	{ "coap", "insecure", KEY_TYPE_BOOL, AT(coap.insecure), "no", 0, 0, NULL,
	  "Plain CoAP beyond loopback: anyone who can send a datagram can speak for a device "
	  "that was enrolled without a credential.",
	  false },
	{ "coap", "trusted", KEY_TYPE_PREFIX, AT(coap.trusted), "127.0.0.0/8 ::1/128", 0,
	  COAP_TRUSTED_MAX, "prefixes",
	  "Senders on plain CoAP whose address needs no proof before they get more bytes than "
	  "they sent. Empty: none.",
	  false },
	{ "coap", "envelope_format", KEY_TYPE_COUNT, AT(coap.envelope_format), "60", 0, 65535,
	  "(a content-format number)",
	  "What SUIT envelopes are called on the wire: no number is assigned yet.", false },

	{ "http", "listen", KEY_TYPE_LISTEN, AT(http.listen), "127.0.0.1:8080", 0, HTTP_LISTEN_MAX,
	  "addresses", "Plain HTTP: loopback only unless insecure = yes. Empty: none.", false },
	{ "http", "listen_tls", KEY_TYPE_LISTEN, AT(http.listen_tls), "", 0, HTTP_LISTEN_MAX,
	  "addresses", "HTTPS, usually *:8443. Needs certificate and key.", false },
	{ "http", "insecure", KEY_TYPE_BOOL, AT(http.insecure), "no", 0, 0, NULL,
	  "Plain HTTP beyond loopback: tokens then travel in the clear.", false },
	{ "http", "certificate", KEY_TYPE_FILE, AT(http.certificate), "", 0, 0, NULL,
	  "PEM file with the certificate and its chain. A name without a slash is one of "
	  "systemd's credentials (LoadCredential=).",
	  false },
	{ "http", "key", KEY_TYPE_FILE, AT(http.key), "", 0, 0, NULL,
	  "PEM file with its private key, mode 0600.", false },

	{ "control", "socket", KEY_TYPE_PATH, AT(control.socket), FETTLE_RUNDIR "/control.sock", 0,
	  0, NULL,
	  "Unix socket of the fettle command. Who asks is told by the kernel: root and the "
	  "daemon's own user are admin, others what `fettle operator add` says.",
	  false },

	{ "limits", "sessions", KEY_TYPE_COUNT, AT(limits.sessions), "20000", 16, 1000000,
	  "sessions", "Peers known at once, all network listeners together.", true },
	{ "limits", "control_sessions", KEY_TYPE_COUNT, AT(limits.control_sessions), "256", 4,
	  10000, "sessions", "Connections to the control socket.", false },
	{ "limits", "dtls_sessions", KEY_TYPE_COUNT, AT(limits.dtls_sessions), "5000", 16, 200000,
	  "sessions",
	  "DTLS sessions held open, about 48 KiB each; the longest idle one goes first.", false },
	{ "limits", "handshakes", KEY_TYPE_COUNT, AT(limits.handshakes), "1000", 16, 100000,
	  "handshakes", "DTLS handshakes under way; of one address (IPv6: /64) a quarter of that.",
	  false },
	{ "limits", "grants", KEY_TYPE_COUNT, AT(limits.grants), "65536", 64, 4000000, "grants",
	  "Paths a front may serve by itself, for all sessions.", false },
	{ "limits", "objects", KEY_TYPE_COUNT, AT(limits.objects), "1024", 16, 65536, "objects",
	  "Images and manifests a front holds mapped.", true },
	{ "limits", "http_connections", KEY_TYPE_COUNT, AT(limits.http_connections), "2048", 8,
	  60000, "connections", "HTTP connections, all listeners together.", false },
	{ "limits", "http_per_address", KEY_TYPE_COUNT, AT(limits.http_per_address), "256", 1,
	  60000, "connections", "HTTP connections of one address.", false },
	{ "limits", "http_idle", KEY_TYPE_TIME, AT(limits.http_idle_ms), "30s", 1 * SECOND,
	  3600 * SECOND, "(s, m, h)", "An HTTP connection on which nothing moves is closed.",
	  false },
	{ "limits", "http_min_rate", KEY_TYPE_SIZE, AT(limits.http_min_rate), "256", 0, 1 * MIB,
	  "bytes a second", "An HTTP asker slower than this is cut.", false },
	{ "limits", "image_max", KEY_TYPE_SIZE, AT(limits.image_max), "256M", 64 * KIB, 64 * GIB,
	  "bytes", "The largest image taken in.", true },
	{ "limits", "upload_quota", KEY_TYPE_SIZE, AT(limits.upload_quota), "1G", 64 * KIB,
	  1024 * GIB, "bytes", "All unfinished uploads together.", true },
	{ "limits", "key_rate", KEY_TYPE_COUNT, AT(limits.key_rate), "20000", 10, 1000000,
	  "questions a second", "How fast keys of devices may be asked for.", false },
};

const unsigned config_keys_count = sizeof(config_keys) / sizeof(config_keys[0]);
_Static_assert(sizeof(config_keys) / sizeof(config_keys[0]) <= CONFIG_KEYS_MAX,
	       "raise CONFIG_KEYS_MAX");
