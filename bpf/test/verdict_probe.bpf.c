// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Asks the policy maps questions through BPF_PROG_TEST_RUN: the very look-up
 * that packets meet, without packets. Never attached, never shipped.
 *
 * The packet is any number of questions; each answer is written into its own.
 */
#include "../lib/policy.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define QUESTIONS_MAX 64

SEC("tc")
int verdict_probe(struct __sk_buff *skb)
{
	__u32 offset = 14;

	for (int i = 0; i < QUESTIONS_MAX; i++) {
		struct question question = {};
		struct answer answer = {};

		if (bpf_skb_load_bytes(skb, offset, &question, sizeof(question)))
			return i;
		policy_verdict(&question, &answer);
		question.verdict = answer.verdict;
		question.reason = answer.reason;
		question.rule = answer.rule;
		if (bpf_skb_store_bytes(skb, offset, &question, sizeof(question), 0))
			return i;
		offset += sizeof(question);
	}
	return QUESTIONS_MAX;
}

/*
 * The same with both sides by address, found as a packet's are: the subject's
 * IPv4 address stands in rule, the peer's where it always does.
 */
SEC("tc")
int party_probe(struct __sk_buff *skb)
{
	__u32 offset = 14;

	for (int i = 0; i < QUESTIONS_MAX; i++) {
		struct party own = {}, peer = {};
		struct question question = {};
		struct answer answer = {};
		struct address address;

		if (bpf_skb_load_bytes(skb, offset, &question, sizeof(question)))
			return i;
		address_from_v4(&address, question.rule);
		party_of(&address, &own);
		__builtin_memcpy(&address, question.peer_address, 16);
		party_of(&address, &peer);
		question.identity = own.identity;
		question.variant = own.variant;
		question.peer_identity = peer.identity;
		question.peer_variant = peer.variant;
		question.peer_in_cluster = peer.in_cluster;
		policy_verdict(&question, &answer);
		question.verdict = answer.verdict;
		question.reason = answer.reason;
		if (bpf_skb_store_bytes(skb, offset, &question, sizeof(question), 0))
			return i;
		offset += sizeof(question);
	}
	return QUESTIONS_MAX;
}
