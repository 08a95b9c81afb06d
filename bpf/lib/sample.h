/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the kernel tells: packets counted always, drops and verdicts sampled while the ring has room. */
#pragma once

#include "packet.h"
#include "policy.h"

/* Where something was decided, as drop_plain takes it. */
#define PLACE(file) ((__u32)(file) << 16 | __LINE__)

/*
 * A flow at a hook: its two sides, its orientation, what was decided.
 * The sides are those of the packet; forward = the packet's source began the flow.
 */
struct judged {
	struct party source;
	struct party destination;
	struct answer egress;		/* of the originator */
	struct answer ingress;		/* of the responder */
	bool forward;
	bool has_egress;		/* judged here: that side is a local pod, or the node with a policy of its own */
	bool has_ingress;
	__u8 pad;
};

static __always_inline void count(__u8 reason, __u8 direction, __u32 length)
{
	__u32 index = direction << 8 | reason;
	struct metric *value = bpf_map_lookup_elem(&sn_metrics_01, &index);

	if (value) {
		value->packets++;
		value->bytes += length;
	}
}

/* User space looks at its own pace: nobody is to be woken. */
#define SAMPLE_SUBMIT BPF_RB_NO_WAKEUP

/*
 * samples_new - room for @many samples in one record of the ring, @size bytes, with what every sample holds; the
 * caller fills the rest and submits. Return: NULL when the ring is full; the loss is told by this CPU's next sample.
 */
static __always_inline struct sample *samples_new(__u32 ifindex, __u32 length, const __u32 many, const __u32 size)
{
	__u32 zero = 0;
	struct node_state *state = bpf_map_lookup_elem(&sn_state_01, &zero);
	struct sample *samples = bpf_ringbuf_reserve(&sn_samples_01, size, 0);
	__u32 *lost = bpf_map_lookup_elem(&sn_lost_01, &zero);
	__u64 time, seen;

	if (!samples) {
		if (lost)
			*lost += many;
		return NULL;
	}
	__builtin_memset(samples, 0, size);
	time = bpf_ktime_get_coarse_ns();
	seen = state ? state->applied : 0;
#pragma unroll
	for (__u32 i = 0; i < many; i++) {
		samples[i].time = time;
		samples[i].seen = seen;
		samples[i].ifindex = ifindex;
		samples[i].length = length;
	}
	if (lost) {
		samples->lost = *lost;
		*lost = 0;
	}
	return samples;
}

static __always_inline void sample_tuple(struct sample *sample, const struct tuple *tuple)
{
	__builtin_memcpy(sample->source, &tuple->source, 16);
	__builtin_memcpy(sample->destination, &tuple->destination, 16);
	sample->protocol = tuple->protocol;
	sample->tcp_flags = tuple->tcp_flags;
	sample->source_port = tuple->source_port;
	if (tuple->protocol == IPPROTO_ICMP || tuple->protocol == IPPROTO_ICMPV6)
		sample->destination_port = tuple->policy_port;
	else
		sample->destination_port = tuple->destination_port;
}

/* drop_plain - drops for what the packet is, before or beside policy. @place: PLACE(). Return: TC_ACT_SHOT. */
__noinline int drop_plain(struct __sk_buff *skb, const struct tuple *tuple, __u8 reason, __u8 direction, __u32 place)
{
	struct sample *sample;

	count(reason, direction, skb->len);
	sample = samples_new(skb->ifindex, skb->len, 1, sizeof(*sample));
	if (!sample)
		return TC_ACT_SHOT;
	if (tuple)
		sample_tuple(sample, tuple);
	sample->kind = SAMPLE_DROP;
	sample->reason = reason;
	sample->direction = direction;
	sample->file = place >> 16;
	sample->line = place;
	bpf_ringbuf_submit(sample, SAMPLE_SUBMIT);
	return TC_ACT_SHOT;
}

/* sample_answer - one direction's verdict. @flow: in the originator's orientation */
static __always_inline void sample_answer(struct sample *sample, const struct tuple *flow, const struct judged *judged, __u8 direction)
{
	const struct party *originator = judged->forward ? &judged->source : &judged->destination;
	const struct party *responder = judged->forward ? &judged->destination : &judged->source;
	const struct answer *answer = direction == DIRECTION_EGRESS ? &judged->egress : &judged->ingress;

	sample_tuple(sample, flow);
	sample->reply = !judged->forward;
	sample->kind = answer->reason ? SAMPLE_DROP : SAMPLE_VERDICT;
	sample->reason = answer->reason;
	sample->direction = direction;
	sample->verdict = answer->verdict;
	sample->rule = answer->rule;
	sample->file = FILE_POLICY;
	sample->line = answer->line;
	sample->source_identity = originator->identity;
	sample->destination_identity = responder->identity;
	sample->endpoint_id = direction == DIRECTION_EGRESS ? originator->endpoint_id : responder->endpoint_id;
}

/*
 * report - tells what was judged: one record of the ring for both directions, as far as each was asked.
 * @tuple: the packet's
 */
__noinline int report(struct __sk_buff *skb, const struct tuple *tuple, const struct judged *judged)
{
	struct sample *samples;
	struct tuple flow;

	if (!tuple || !judged)
		return 0;
	if (judged->egress.reason)
		count(judged->egress.reason, DIRECTION_EGRESS, skb->len);
	if (judged->ingress.reason)
		count(judged->ingress.reason, DIRECTION_INGRESS, skb->len);
	if (judged->forward)
		flow = *tuple;
	else
		tuple_reverse(tuple, &flow);
	if (judged->has_egress && judged->has_ingress) {
		samples = samples_new(skb->ifindex, skb->len, 2, 2 * sizeof(*samples));
		if (!samples)
			return 0;
		sample_answer(&samples[0], &flow, judged, DIRECTION_EGRESS);
		sample_answer(&samples[1], &flow, judged, DIRECTION_INGRESS);
	} else if (judged->has_egress || judged->has_ingress) {
		samples = samples_new(skb->ifindex, skb->len, 1, sizeof(*samples));
		if (!samples)
			return 0;
		sample_answer(samples, &flow, judged, judged->has_egress ? DIRECTION_EGRESS : DIRECTION_INGRESS);
	} else {
		return 0;
	}
	bpf_ringbuf_submit(samples, SAMPLE_SUBMIT);
	return 0;
}
