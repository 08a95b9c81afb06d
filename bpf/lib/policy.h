/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The verdict. User space has resolved every precedence: the kernel finds one
 * row, and in it one longest port prefix. Nothing here knows of tiers, Pass,
 * "deny beats allow" or audit.
 */
#pragma once

#include "address.h"

/* What is asked of a subject's policy. The probe's questions have this form too, so it is of fixed-width fields. */
struct question {
	__u8 peer_address[16];
	__u32 peer_identity;
	__u32 identity;			/* of the subject */
	__u16 variant;
	__u16 peer_variant;
	__be16 port;
	__u8 direction;
	__u8 protocol;
	__u8 peer_in_cluster;		/* 0 or 1 */
	__u8 verdict;			/* the probe's answer stands beside its question; programs leave it */
	__u8 reason;
	__u8 pad;
	__u32 rule;
};
_Static_assert(sizeof(struct question) == 40, "question");

struct answer {
	__u8 verdict;			/* enum seine_verdict */
	__u8 reason;			/* drop reason where the verdict denies */
	__u16 line;
	__u32 rule;
	__u16 proxy_port;
};

static __always_inline __u32 epoch_now(void)
{
	__u32 zero = 0;
	__u32 *epoch = bpf_map_lookup_elem(&sn_epoch_01, &zero);

	return epoch ? *epoch : 0;
}

static __always_inline bool answer_allows(const struct answer *answer)
{
	return answer->reason == REASON_NONE;
}

static __always_inline bool subject_read(const struct policy_subject_key *key, struct policy_subject *subject)
{
	__u32 echo = echo_of(key, sizeof(*key));

#pragma unroll
	for (int try = 0; try < ECHO_TRIES; try++) {
		struct policy_subject *value = bpf_map_lookup_elem(&sn_subject_01, key);
		__u64 word;

		if (!value)
			continue;
		word = READ_ONCE64(*value);
		barrier();
		subject->default_row = value->default_row;
		subject->flags = value->flags;
		barrier();
		if (READ_ONCE64(*value) == word && word_of(word, echo, &subject->revision))
			return true;
	}
	return false;
}

static __always_inline bool peer_row(const struct policy_peer_key *key, __u32 *row)
{
	__u32 echo = echo_of(key, sizeof(*key));

#pragma unroll
	for (int try = 0; try < ECHO_TRIES; try++) {
		struct policy_peer *value = bpf_map_lookup_elem(&sn_peer_01, key);

		if (value && word_of(READ_ONCE64(*value), echo, row))
			return true;
	}
	return false;
}

static __always_inline void answer_from_row(const struct policy_row *row, struct answer *answer)
{
	answer->verdict = row->verdict;
	answer->rule = row->rule;
	answer->proxy_port = row->proxy_port;
	answer->line = __LINE__;
	switch (row->verdict) {
	case VERDICT_ALLOW:
	case VERDICT_AUDIT:
		answer->reason = REASON_NONE;
		break;
	case VERDICT_DENY:
		answer->reason = REASON_DENYLIST;
		answer->line = __LINE__;
		break;
	case VERDICT_FULL:
		answer->reason = REASON_MAP_INSERT;
		answer->line = __LINE__;
		break;
	case VERDICT_REDIRECT:
		answer->reason = REASON_NO_PROXY;
		answer->line = __LINE__;
		break;
	default:
		answer->reason = REASON_POLICY;
		answer->line = __LINE__;
	}
}

/* row_at - the row's answer at one prefix length of the port, if it has one there. */
static __always_inline bool row_at(struct policy_row_key *key, const __u32 length, __be16 port, struct answer *answer)
{
	struct policy_row *value;

	key->prefix_length = length;
	key->port = port & bpf_htons((__u16)(0xffff << (16 - length)));
	value = bpf_map_lookup_elem(&sn_row_01, key);
	if (!value)
		return false;
	answer_from_row(value, answer);
	return true;
}

/*
 * row_verdict - the answer of one row for one port: the longest prefix that it knows.
 * Ranges are rare beside single ports and whole protocols: without one their fifteen lengths are passed over at once.
 * Return: false when the row does not hold even its root, which user space never lets happen.
 */
static __always_inline bool row_verdict(__u32 row, __u8 protocol, __be16 port, struct answer *answer)
{
	struct policy_row_key key = { .row = row };
	__u32 shape = row >> ROW_SHAPE_SHIFT;

	if (shape != SHAPE_ONE) {
		__u32 *lengths = bpf_map_lookup_elem(&sn_shape_01, &shape);
		__u32 bits = lengths && *lengths ? *lengths : SHAPE_FULL_BITS;	/* an unwritten shape is slow, not wrong */

		key.protocol = protocol;
		if ((bits & SHAPE_PORT) && row_at(&key, 16, port, answer))
			return true;
		if (bits & ~(SHAPE_PORT | SHAPE_PROTOCOL)) {
#pragma unroll
			for (int length = 15; length > 0; length--)
				if ((bits & (1U << length)) && row_at(&key, length, port, answer))
					return true;
		}
		if ((bits & SHAPE_PROTOCOL) && row_at(&key, 0, port, answer))
			return true;
		key.protocol = 0;
	}
	return row_at(&key, 0, port, answer);
}

/*
 * row_verdict_memo - the same by what this CPU asked before. A row never changes, and its number is given to another
 * only a grace period after a later epoch, so an answer stands as long as the epoch that was read before the row was
 * found. Programs run to their end on their CPU, so nobody else writes an entry meanwhile.
 * A new flow mostly asks what another one asked: an index instead of a hash for every prefix length.
 */
static __always_inline void row_verdict_memo(__u32 row, __u8 protocol, __be16 port, __u32 epoch, struct answer *answer)
{
	__u64 question = (__u64)row << 32 | protocol << 16 | port;
	__u32 index = question * 0x9e3779b97f4a7c15ULL >> (64 - ROW_MEMO_SHIFT);
	struct row_memo *memo = bpf_map_lookup_elem(&sn_rowmemo_01, &index);

	if (!memo)
		return;
	if (memo->question == question && memo->epoch == epoch && memo->verdict) {
		struct policy_row value = { .verdict = memo->verdict, .proxy_port = memo->proxy_port, .rule = memo->rule };

		answer_from_row(&value, answer);
		return;
	}
	if (!row_verdict(row, protocol, port, answer))
		return;
	memo->question = question;
	memo->epoch = epoch;
	memo->rule = answer->rule;
	memo->proxy_port = answer->proxy_port;
	memo->verdict = answer->verdict;
}

/*
 * policy_verdict - what the subject's policy of one direction says of a peer and a port. Never open by accident:
 * only the node itself may be without a row, while no policy selects it.
 * A global function: the verifier proves it once, not for each path that leads here.
 * Return: 1 when a policy answered, 0 when there was none to ask.
 */
__noinline int policy_verdict(const struct question *question, struct answer *answer)
{
	struct policy_subject_key key = {};
	struct policy_peer_key peer = {};
	struct policy_subject subject = {};
	__u32 epoch = epoch_now();
	__u32 row;

	if (!question || !answer)
		return 1;
	key.identity = question->identity;
	key.variant = question->variant;
	key.direction = question->direction;
	answer->rule = 0;
	answer->proxy_port = 0;
	answer->verdict = VERDICT_NONE;
	answer->reason = REASON_NO_POLICY;
	answer->line = __LINE__;
	if (!subject_read(&key, &subject)) {
		if (key.identity != IDENTITY_HOST)
			return 1;
		answer->verdict = VERDICT_ALLOW;
		answer->reason = REASON_NONE;
		return 0;
	}
	if (!(subject.flags & SUBJECT_ENFORCED)) {
		answer->verdict = VERDICT_ALLOW;
		answer->reason = REASON_NONE;
		answer->line = __LINE__;
		return 1;
	}
	if (question->peer_identity == IDENTITY_UNKNOWN && (subject.flags & SUBJECT_PEER_DENY)) {
		answer->verdict = VERDICT_DENY;
		answer->reason = REASON_INVALID_IDENTITY;
		answer->line = __LINE__;
		return 1;
	}
	peer.revision = subject.revision;
	peer.identity = question->peer_identity;
	if ((subject.flags & SUBJECT_NEEDS_CLASS) && question->peer_in_cluster) {
		struct cidr_key prefix = { .prefix_length = 128 };
		__u32 *class;

		__builtin_memcpy(prefix.address, question->peer_address, 16);
		class = bpf_map_lookup_elem(&sn_class_01, &prefix);
		if (class)
			peer.class_variant = *class << 16;
	}
	if (subject.flags & SUBJECT_NEEDS_VARIANT)
		peer.class_variant |= question->peer_variant;
	if (!peer_row(&peer, &row))
		row = subject.default_row;
	row_verdict_memo(row, question->protocol, question->port, epoch, answer);
	return 1;
}

/* host_enforced - whether a policy isolates the node itself, either way. A global function, as above. */
__noinline int host_enforced(void)
{
	struct policy_subject_key key = { .identity = IDENTITY_HOST, .direction = DIRECTION_INGRESS };
	struct policy_subject subject = {};

	if (subject_read(&key, &subject) && (subject.flags & SUBJECT_ENFORCED))
		return 1;
	key.direction = DIRECTION_EGRESS;
	return subject_read(&key, &subject) && (subject.flags & SUBJECT_ENFORCED);
}

/* host_judged - whether @address is the node's own, and a policy isolates the node. A global function, as above. */
__noinline int host_judged(const struct address *address)
{
	struct party party = {};

	return address && host_enforced() && ipcache_read(address, &party) && party.ifindex == IFINDEX_HOST;
}
