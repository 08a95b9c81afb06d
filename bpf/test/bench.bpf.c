// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * The pod program on ever other flows, for benchmarks: one test run repeats one
 * packet, so the wrapper moves its ports on before each. Never attached, never shipped.
 */
#include "../pod.bpf.c"

struct flow_packet {
	struct ethhdr eth;
	struct iphdr ip;
	__be16 source_port;
	__be16 destination_port;
} __attribute__((packed));

static __always_inline struct flow_packet *flow_packet(struct __sk_buff *skb)
{
	struct flow_packet *packet = (void *)(long)skb->data;

	if ((void *)(packet + 1) > (void *)(long)skb->data_end)
		return NULL;
	packet->ip.ttl = 64;
	return packet;
}

/* Flows in an order that no cache foresees, by both ports: this many at most; -1 = no such packet. */
static __always_inline int next_flow(struct __sk_buff *skb, __u32 flows)
{
	struct flow_packet *packet = flow_packet(skb);
	__u32 ports;

	if (!packet)
		return -1;
	ports = ((__u32)packet->destination_port << 16 | packet->source_port) * 1664525 + 1013904223;
	packet->source_port = ports & (flows - 1);
	packet->destination_port = (ports & (flows - 1)) >> 16;
	return 0;
}

/* The next client of the same server: 65,536 flows before one comes again. */
static __always_inline int next_client(struct __sk_buff *skb)
{
	struct flow_packet *packet = flow_packet(skb);

	if (!packet)
		return -1;
	packet->source_port = packet->source_port * 25173 + 13849;
	return 0;
}

/* What the harness costs. */
SEC("tc")
int bench_empty(struct __sk_buff *skb)
{
	return TC_ACT_OK;
}

/* What harness and wrapper cost. */
SEC("tc")
int bench_nothing(struct __sk_buff *skb)
{
	return next_flow(skb, 1 << 18) ? TC_ACT_SHOT : TC_ACT_OK;
}

/* 262,144 flows in random order: established once each was met. */
SEC("tc")
int bench_established(struct __sk_buff *skb)
{
	return next_flow(skb, 1 << 18) ? TC_ACT_SHOT : handle(skb, true, false, false, false);
}

/* A new flow each time, to one port. */
SEC("tc")
int bench_new(struct __sk_buff *skb)
{
	return next_client(skb) ? TC_ACT_SHOT : handle(skb, true, false, false, false);
}

/* A new flow each time, to another port each time. */
SEC("tc")
int bench_scan(struct __sk_buff *skb)
{
	return next_flow(skb, 1 << 31) ? TC_ACT_SHOT : handle(skb, true, false, false, false);
}

/* What a subject's policy says of one of so many peers at random: their identities follow each other from FIRST_PEER on. */
#define FIRST_PEER 1000
SEC("tc")
int bench_lookup(struct __sk_buff *skb)
{
	struct {
		struct ethhdr eth;
		__u32 subject;
		__u32 peers;
		__u32 random;
	} __attribute__((packed)) *asked = (void *)(long)skb->data;
	struct question question = { .direction = DIRECTION_INGRESS, .protocol = IPPROTO_TCP, .port = bpf_htons(80) };
	struct answer answer = {};

	if ((void *)(asked + 1) > (void *)(long)skb->data_end)
		return VERDICT_NONE;
	asked->random = asked->random * 1664525 + 1013904223;
	question.identity = asked->subject;
	question.peer_identity = FIRST_PEER + ((__u64)asked->random * asked->peers >> 32);
	policy_verdict(&question, &answer);
	return answer.verdict;
}
