/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The words that kernel programs and user space share: verdicts, reasons,
 * points, flags. User space never mirrors a number of this file by hand: the
 * generator (npm run gen) reads them from the objects' BTF.
 */
#pragma once

#include <linux/types.h>

#define UNIT(u) __attribute__((btf_decl_tag("unit:" u)))

/* What a policy row answers. */
enum seine_verdict {
	VERDICT_NONE = 0,		/* not a row's answer: the look-up missed */
	VERDICT_ALLOW = 1,
	VERDICT_DENY = 2,		/* a deny rule matched: 181 */
	VERDICT_DEFAULT_DENY = 3,	/* isolated and no rule allows it: 133 */
	VERDICT_REDIRECT = 4,		/* to proxy_port */
	VERDICT_AUDIT = 5,		/* passes, reported as AUDIT */
	VERDICT_FULL = 6,		/* the subject's policy did not fit the maps: 155 */
};

/* Drop reasons: the public numbers of the field (monitor sub-types). Append only. */
enum seine_reason {
	REASON_NONE = 0,
	REASON_INVALID_SOURCE_IP = 132,
	REASON_POLICY = 133,
	REASON_INVALID_PACKET = 134,
	REASON_CT_INVALID_HEADER = 135,
	REASON_FRAGMENTATION_NEEDED = 136,	/* too long once it carries what its backend's node must know */
	REASON_CT_UNKNOWN_L4 = 137,
	REASON_UNSUPPORTED_L3 = 139,
	REASON_MISSED_TAIL_CALL = 140,
	REASON_WRITE_ERROR = 141,
	REASON_STALE_IP = 151,
	REASON_MAP_INSERT = 155,
	REASON_FRAGMENT_UNSUPPORTED = 157,
	REASON_NO_BACKEND = 158,
	REASON_NO_TUNNEL = 160,
	REASON_UNSUPPORTED_L2 = 166,
	REASON_NO_MAPPING = 167,
	REASON_UNSUPPORTED_PROTOCOL = 168,
	REASON_FIB = 169,
	REASON_INVALID_IDENTITY = 171,
	REASON_IS_CLUSTER_IP = 174,
	REASON_FRAGMENT_NOT_FOUND = 175,
	REASON_NOT_IN_RANGE = 177,	/* loadBalancerSourceRanges */
	REASON_NO_PROXY = 180,		/* a rule redirects and no proxy is there */
	REASON_DENYLIST = 181,
	REASON_TTL = 196,
	REASON_HOST_NOT_READY = 202,
	REASON_NO_POLICY = 203,
};

/* Direction, seen from the endpoint. */
enum seine_direction {
	DIRECTION_INGRESS = 1,
	DIRECTION_EGRESS = 2,
};

/* In sn_metrics_01 alone: carried at XDP, from outside to outside, for no endpoint of this node. */
#define DIRECTION_EARLY 0

/* What a sample tells of. */
enum seine_sample_kind {
	SAMPLE_DROP = 1,
	SAMPLE_VERDICT = 5,		/* verdict of a new flow (or one judged again) */
	SAMPLE_TRACE = 4,
};

/* Flags of policy_subject. */
enum seine_subject_flag {
	SUBJECT_ENFORCED = 1,		/* unset: nothing isolates it in this direction: allow */
	SUBJECT_NEEDS_CLASS = 2,	/* look up cidr_class for in-cluster addresses */
	SUBJECT_NEEDS_VARIANT = 4,	/* the peer's named-port variant is part of the key */
	SUBJECT_PEER_DENY = 8,		/* has a deny or Admin rule that selects peers: unknown identity drops (171) */
};

/* Flags of endpoint and ipcache. */
enum seine_address_flag {
	ADDRESS_IN_CLUSTER = 1,		/* a pod's: CIDR rules meet it through cidr_class only */
	ADDRESS_HOST = 2,		/* a node's own */
};

/* From where a frontend is used. */
enum seine_scope {
	SCOPE_INSIDE = 0,		/* pods and the nodes' own processes */
	SCOPE_OUTSIDE = 1,		/* who comes by an uplink; a row of its own only where FRONTEND_SPLIT says so */
};

/* Flags of frontend. */
enum seine_frontend_flag {
	FRONTEND_SPLIT = 1,		/* who comes from outside has another slot set */
	FRONTEND_RANGES = 2,		/* only sn_srange_01's may use it */
	FRONTEND_HASHED = 4,		/* drawn by a hash of the client, not at random */
	FRONTEND_DIRECT = 8,		/* pods elsewhere answer who comes from outside themselves */
};

/* Slots of the prog array behind the attached stubs. */
enum seine_program_slot {
	SLOT_FROM_POD = 0,		/* host veth, tc ingress: leaves the pod */
	SLOT_TO_POD = 1,		/* host veth, tc egress: from the stack to the pod */
	SLOT_FROM_NETDEV = 2,		/* uplink, tc ingress */
	SLOT_TO_NETDEV = 3,		/* uplink, tc egress */
	SLOT_SERVICE_POD = 4,		/* from_pod's packet to a frontend: becomes one to a backend */
	SLOT_SERVICE_NETDEV = 5,	/* from_netdev's, and answers to what the node itself is the source of */
	SLOT_POD_TRANSLATED = 6,	/* from_pod again, with a backend for the frontend */
	SLOT_NETDEV_TRANSLATED = 7,	/* from_netdev again, as above */
	SLOT_NETDEV_ANSWER = 8,		/* a backend elsewhere answers through this node: judged as its side */
	SLOT_ANSWER = 9,		/* an answer gets its frontend back and goes on */
	SLOT_ANSWER_HERE = 10,		/* as above, at to_pod: the stack carries it on */
	SLOT_SNAT = 11,			/* towards a backend elsewhere: from this node, so that its answer comes back */
	SLOT_ERROR_POD = 12,		/* ICMP errors about translated packets: what a pod says */
	SLOT_ERROR_NETDEV = 13,		/* what comes by an uplink */
	SLOT_ERROR_ON = 14,		/* what goes on as answers and forwarded packets do */
	SLOT_ERROR_HERE = 15,		/* what the stack carries on */
	SLOT_MASQUERADE = 16,		/* what a pod sends to the world leaves with the node's own address */
	SLOT_UNREACHABLE = 17,		/* a datagram that nobody serves is answered */
	SLOT_DIRECT = 18,		/* to a backend elsewhere that answers its client itself */
	SLOT_DIRECT_HERE = 19,		/* what another node sent so */
	SLOT_TOO_LONG = 20,		/* its client learns what fits */
	SLOT_THROUGH = 21,		/* from outside to outside by a flow that stands: one step */
	SLOT_NETDEV_AGAIN = 22,		/* from_netdev again, where that was not to be */
};

/* Flags of self. */
enum seine_self_flag {
	SELF_SERVES = 1,		/* the node itself is some Service's backend */
	SELF_MASQUERADES = 2,		/* pods speak to the world with this address */
};

/* Flags of a translation's half. */
enum seine_nat_flag {
	NAT_FORWARD = 1,		/* the originator's half; else the answers' */
	NAT_SOURCE = 2,			/* its key is the judged flow, and the source changes; else its value is */
	NAT_DIRECT = 4,			/* the backend's node judges and answers: nothing comes back here but ICMP errors */
};

/* Conntrack entry: who began, who was seen, who is closing. Sides a and b are those of the normalised key. */
enum seine_ct_flag {
	CT_ORIGINATOR_A = 1,
	CT_SEEN_A = 2,
	CT_SEEN_B = 4,
	CT_CLOSING_A = 8,
	CT_CLOSING_B = 16,
	CT_RESET = 32,
	CT_TRANSLATED = 64,		/* the responder stands for a frontend: its answers get that back */
	CT_MASQUERADED = 128,		/* the originator is a pod that the responder knows by its node's address */
};

/* Source file of a decision, beside its line in a sample. */
enum seine_file {
	FILE_POD = 1,
	FILE_POLICY = 2,
	FILE_CONNTRACK = 3,
	FILE_STUB = 4,
	FILE_PACKET = 5,
	FILE_FORWARD = 6,
	FILE_SOCKET = 7,
	FILE_SERVICE = 8,
};

/* Reserved identities that programs name themselves. */
#define IDENTITY_UNKNOWN 0
#define IDENTITY_HOST 1
#define IDENTITY_WORLD 2

/* The longest prefix of a port is 16 bits, so a shape has 17 bits; row numbers carry their shape on top. */
#define ROW_SHAPE_SHIFT 24
#define SHAPE_FULL 255
#define SHAPE_FULL_BITS 0x1ffff		/* bit n: some entry of the row has prefix length n; bit 0: one for a whole protocol */
#define SHAPE_PORT (1U << 16)
#define SHAPE_PROTOCOL 1U
#define SHAPE_ONE 0			/* one verdict for everything: one probe */

/* In a slot set's key: asks whether a backend is in it. */
#define SLOT_MEMBER 0x80000000

/* The node itself as a side of a flow: its loopback's index, which no pod can have. */
#define IFINDEX_HOST 1

/* A pod elsewhere, judged here because the packet leaves here with the node's own source: no interface has this index. */
#define IFINDEX_FORWARDED 0xffffffff

/*
 * Source ports of what the node translates; no process of the node may bind them. Other nodes take what comes from the first of them as judged.
 * What is masqueraded has ports of its own: nobody judged it for those whom it may reach after all, by somebody else's translation.
 */
#define SNAT_PORT_FIRST 61000
#define SNAT_PORT_LAST 62999
#define MASQUERADE_PORT_FIRST 63000
#define MASQUERADE_PORT_LAST 65535

/* A pod that is its own backend would drop its own address as a source: it sees these instead. */
#define LOOPBACK_V4_LOW 0x012afea9ffff0000ULL	/* 169.254.42.1, as the second word of an address */
#define LOOPBACK_V6_LOW 0x012afea900000000ULL	/* fd5e:1e00::a9fe:2a01 */
#define LOOPBACK_V6_HIGH 0x00000000001e5efdULL

/*
 * Bits of the packet mark. Free for others: all the rest; taken by others: 0x4000
 * and 0x8000 (kube-proxy), 0xf00 (transparent proxies).
 */
#define MARK_JUDGED 0x00100000		/* a pod's program judged it; cleared at the uplink */
#define MARK_MASQUERADE 0x00200000	/* the stack carries it as the pod sent it; the uplink makes it the node's */

/* Every host side veth has this MAC; pods hold it as a permanent neighbour. */
#define HOST_MAC { 0x02, 0x5e, 0x1e, 0x00, 0x00, 0x01 }

/* Keeps each enum in BTF: without an anchor clang drops enums used only by inlined code. */
#define ANCHOR(name) const enum name *btf_anchor_##name __attribute__((unused))
