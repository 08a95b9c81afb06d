/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Every map's layout: the contract between kernel and user space. BTF of the
 * built objects is what user space reads; layout.lock is its reviewed record.
 *
 * Rules: fixed-width types, explicit padding, no bitfields, unions or pointers,
 * a size assertion each. Addresses are 16 bytes, IPv4 mapped (::ffff:a.b.c.d).
 * A value that decides carries `echo` = the 32-bit echo of its key beside what
 * it decides, in one aligned 8-byte word read by one load (lib/echo.h): the
 * kernel recycles hash elements at once, and a reader must notice.
 */
#pragma once

#include "types.h"

/* --- policy ------------------------------------------------------------------ */

struct policy_subject_key {
	__u32 identity;
	__u16 variant;			/* named-port variant, 0 = none */
	__u8 direction;			/* enum seine_direction */
	__u8 pad;
};
_Static_assert(sizeof(struct policy_subject_key) == 8, "policy_subject_key");

struct policy_subject {
	__u32 revision;			/* the word: revision and echo */
	__u32 echo;
	__u32 default_row;		/* peers without an entry: any-peer rules only */
	__u32 flags;			/* enum seine_subject_flag */
};
_Static_assert(sizeof(struct policy_subject) == 16, "policy_subject");

struct policy_peer_key {
	__u32 revision;
	__u32 identity;			/* of the peer */
	__u32 class_variant;		/* class << 16 | variant, each 0 where the subject does not need it */
};
_Static_assert(sizeof(struct policy_peer_key) == 12, "policy_peer_key");

struct policy_peer {
	__u32 row;			/* shape << 24 | number */
	__u32 echo;
};
_Static_assert(sizeof(struct policy_peer) == 8, "policy_peer");

struct policy_row_key {
	__u32 row;
	__u8 protocol;			/* IPPROTO_*; 0 = any */
	__u8 prefix_length UNIT("bits");	/* of port, 0..16 */
	__be16 port;			/* masked to prefix_length; ICMP: type in the high byte, code in the low */
};
_Static_assert(sizeof(struct policy_row_key) == 8, "policy_row_key");

struct policy_row {			/* immutable: shared by all subjects with equal content */
	__u8 verdict;			/* enum seine_verdict */
	__u8 pad;
	__u16 proxy_port;		/* host order */
	__u32 rule;			/* node-local rule reference, 0 = none (default deny) */
};
_Static_assert(sizeof(struct policy_row) == 8, "policy_row");

/* What a row answered lately, under which epoch. */
#define ROW_MEMO_SHIFT 10
struct row_memo {
	__u64 question;			/* row << 32 | protocol << 16 | port in network order */
	__u32 epoch;
	__u32 rule;			/* as in policy_row, these three */
	__u16 proxy_port;
	__u8 verdict;			/* 0: nothing was asked yet */
	__u8 pad[5];
};
_Static_assert(sizeof(struct row_memo) == 24, "row_memo");

struct cidr_key {
	__u32 prefix_length UNIT("bits");	/* 0..128, of the mapped address */
	__u8 address[16];
};
_Static_assert(sizeof(struct cidr_key) == 20, "cidr_key");

/* --- who is behind an address -------------------------------------------------- */

struct address_key {
	__u8 address[16];
};
_Static_assert(sizeof(struct address_key) == 16, "address_key");

struct endpoint {			/* a local pod's address */
	__u32 identity;			/* the word: identity and echo */
	__u32 echo;
	__u32 ifindex;			/* host side veth */
	__u16 endpoint_id;
	__u16 variant;
	__u8 pod_mac[6];
	__u8 host_mac[6];
	__u32 flags;			/* enum seine_address_flag */
	__u32 pad[2];
};
_Static_assert(sizeof(struct endpoint) == 40, "endpoint");

struct ipcache {
	__u32 identity;			/* the word: identity and echo */
	__u32 echo;
	__u8 tunnel[16];		/* node that holds the address; :: = none */
	__u16 variant;
	__u16 flags;			/* enum seine_address_flag */
	__u32 pad;
};
_Static_assert(sizeof(struct ipcache) == 32, "ipcache");

/* --- conntrack ------------------------------------------------------------------ */

struct ct_key {				/* normalised: the smaller (address, port) is a */
	__u8 address_a[16];
	__u8 address_b[16];
	__be16 port_a;
	__be16 port_b;
	__u8 protocol;
	__u8 leg;			/* 0 plain, 1 proxy-upstream */
	__u16 pad;
};
_Static_assert(sizeof(struct ct_key) == 40, "ct_key");

struct ct_entry {
	__u32 expiry UNIT("2^30 ns");	/* CLOCK_MONOTONIC; a shift where seconds would be a division */
	__u32 egress_epoch;		/* 0 = not judged here */
	__u32 ingress_epoch;
	__u32 egress_rule;
	__u32 ingress_rule;
	__u32 revnat;
	__u16 proxy_port;
	__u8 flags;			/* enum seine_ct_flag: originator is a, seen each way, closing each way */
	__u8 pad;
	__u32 ifindex_a;		/* local side veth, 0 = not local */
	__u32 ifindex_b;
	__u8 mac_a[6];
	__u8 mac_b[6];
	__u32 echo;			/* of the key: the kernel's own (lib/conntrack.h), not echo_of */
};
_Static_assert(sizeof(struct ct_entry) <= 64, "ct_entry");

/* Ports of a first fragment, for those that follow. The interface keeps pods from writing for each other. */
struct fragment_key {
	__u8 source[16];
	__u8 destination[16];
	__be32 id;
	__u32 ifindex;
	__u8 protocol;
	__u8 pad[3];
};
_Static_assert(sizeof(struct fragment_key) == 44, "fragment_key");

struct fragment {
	__be16 source_port;		/* the word: ports and echo; ICMP echo: the id, twice */
	__be16 destination_port;
	__u32 echo;
};
_Static_assert(sizeof(struct fragment) == 8, "fragment");

/* --- services -------------------------------------------------------------------- */

/* A node port's address is the unspecified one of its family: it stands for every address of this node. */
struct frontend_key {
	__u8 address[16];
	__be16 port;
	__u8 protocol;
	__u8 scope;			/* enum seine_scope */
};
_Static_assert(sizeof(struct frontend_key) == 20, "frontend_key");

struct frontend {
	__u32 slots;			/* the word: low half of the slot set's number, and echo */
	__u32 echo;
	__u32 slots_high;		/* the set's number is a digest of its content: equal sets are one, and none ever changes */
	__u32 count;			/* slots 0..count-1; 0 = no backend: refuse */
	__u32 revnat;			/* frontend id */
	__u32 affinity UNIT("2^30 ns");	/* how long a client keeps its backend, 0 = not at all */
	__u32 flags;			/* enum seine_frontend_flag */
	__u32 pad;
};
_Static_assert(sizeof(struct frontend) == 32, "frontend");

/* Of a frontend with affinity the set also says who is in it: index SLOT_MEMBER | backend id. */
struct backend_slot_key {
	__u32 slots;
	__u32 slots_high;
	__u32 index;
};
_Static_assert(sizeof(struct backend_slot_key) == 12, "backend_slot_key");

/* Who may use a load balancer's address. */
struct source_range_key {
	__u32 prefix_length UNIT("bits");	/* 32 of revnat, then 0..128 of the mapped address */
	__u32 revnat;
	__u8 address[16];
};
_Static_assert(sizeof(struct source_range_key) == 24, "source_range_key");

/* Who on this node may answer for a frontend that another node was asked at. A node port's address is the unspecified one. */
struct direct_key {
	__u8 frontend[16];
	__u8 backend[16];
	__be16 frontend_port;
	__be16 backend_port;
	__u8 protocol;
	__u8 pad[3];
};
_Static_assert(sizeof(struct direct_key) == 40, "direct_key");

struct direct {
	__u32 revnat;			/* the word: frontend id and echo */
	__u32 echo;
	__u32 flags;			/* enum seine_frontend_flag */
	__u32 pad;
};
_Static_assert(sizeof(struct direct) == 16, "direct");

struct affinity_key {
	__u8 client[16];		/* address; at the socket the network namespace's cookie, then zeros */
	__u32 revnat;
	__u32 pad;
};
_Static_assert(sizeof(struct affinity_key) == 24, "affinity_key");

struct affinity {
	__u32 backend;			/* the word: backend id and echo */
	__u32 echo;
	__u32 used UNIT("2^30 ns");	/* CLOCK_MONOTONIC */
	__u32 pad;
};
_Static_assert(sizeof(struct affinity) == 16, "affinity");

struct backend {			/* immutable */
	__u8 address[16];
	__be16 port;
	__u8 protocol;
	__u8 pad;
};
_Static_assert(sizeof(struct backend) == 20, "backend");

/* One half of a translation: packets of this very tuple become those of the value's. The other half is its reverse. */
struct nat_key {
	__u8 source[16];
	__u8 destination[16];
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 pad[3];
};
_Static_assert(sizeof(struct nat_key) == 40, "nat_key");

struct nat_entry {			/* never changed: replaced whole */
	__u8 source[16];
	__u8 destination[16];
	__be16 source_port;
	__be16 destination_port;
	__u32 echo;
	__u32 made UNIT("2^30 ns");	/* CLOCK_MONOTONIC; lives on while the judged flow has a conntrack entry */
	__u32 revnat;			/* frontend id, 0 = none */
	__u32 backend;			/* id, 0 = none */
	__u32 flags;			/* enum seine_nat_flag */
};
_Static_assert(sizeof(struct nat_entry) == 56, "nat_entry");

struct self {
	__u8 address[16];		/* what the node translates sources to; :: = none */
	__u32 flags;			/* enum seine_self_flag */
};
_Static_assert(sizeof(struct self) == 20, "self");

struct socket_revnat_key {
	__u64 cookie;
	__u8 address[16];		/* of the backend */
	__be16 port;
	__u8 protocol;
	__u8 pad[5];
};
_Static_assert(sizeof(struct socket_revnat_key) == 32, "socket_revnat_key");

struct socket_revnat {
	__u8 address[16];		/* of the frontend that the socket asked for */
	__be16 port;
	__u16 pad;
	__u32 backend;			/* id; once its row is gone a connected socket of UDP is destroyed */
};
_Static_assert(sizeof(struct socket_revnat) == 24, "socket_revnat");

/* ICMP errors of this CPU in the name of who is not served. */
#define REFUSALS_MAX 1000
struct refusals {
	__u32 since UNIT("2^30 ns");	/* CLOCK_MONOTONIC; counted anew when it moves */
	__u32 sent;
};
_Static_assert(sizeof(struct refusals) == 8, "refusals");

/* --- node ------------------------------------------------------------------------- */

/* Index: direction << 8 | reason; reason 0 = forwarded; index 0: carried at XDP. */
#define METRICS_MAX ((DIRECTION_EGRESS + 1) << 8)

struct metric {
	__u64 packets;
	__u64 bytes;
};

struct node_state {
	__u64 applying;			/* log sequence of the batch being written */
	__u64 applied;			/* of the last batch written whole */
	__u8 digest[32];		/* of the build */
};

/* What the kernel tells user space: drops and verdicts of new flows. 88 bytes. */
struct sample {
	__u64 time UNIT("ns");		/* CLOCK_MONOTONIC */
	__u64 seen;			/* log sequence that this node had applied */
	__u8 source[16];
	__u8 destination[16];
	__be16 source_port;		/* ICMP echo: the id */
	__be16 destination_port;	/* ICMP: type in the high byte, code in the low */
	__u8 protocol;
	__u8 kind;			/* enum seine_sample_kind */
	__u8 reason;			/* enum seine_reason, drops only */
	__u8 direction;			/* enum seine_direction; 0 = none */
	__u8 verdict;			/* enum seine_verdict */
	__u8 tcp_flags;
	__u8 file;			/* enum seine_file */
	__u8 reply;			/* 1: the tuple is the flow's, the packet went the other way */
	__u16 line;			/* source line of the decision */
	__u16 endpoint_id;
	__u32 source_identity;
	__u32 destination_identity;
	__u32 rule;			/* policy_row.rule */
	__u32 ifindex;
	__u32 length UNIT("bytes");
	__u32 lost;			/* samples lost on this CPU before this one */
};
_Static_assert(sizeof(struct sample) == 88, "sample");
