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

/*
 * sample_new - room for one sample, with what every sample holds; the caller fills the rest and submits.
 * Return: NULL when the ring is full; the loss is told by this CPU's next sample.
 */
static __always_inline struct sample *sample_new(__u32 ifindex, __u32 length)
{
	__u32 zero = 0;
	__u32 *lost = bpf_map_lookup_elem(&sn_lost_01, &zero);
	struct node_state *state = bpf_map_lookup_elem(&sn_state_01, &zero);
	struct sample *sample = bpf_ringbuf_reserve(&sn_samples_01, sizeof(*sample), 0);

	if (!sample) {
		if (lost)
			(*lost)++;
		return NULL;
	}
	__builtin_memset(sample, 0, sizeof(*sample));
	sample->time = bpf_ktime_get_ns();
	sample->seen = state ? state->applied : 0;
	sample->ifindex = ifindex;
	sample->length = length;
	if (lost) {
		sample->lost = *lost;
		*lost = 0;
	}
	return sample;
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
	sample = sample_new(skb->ifindex, skb->len);
	if (!sample)
		return TC_ACT_SHOT;
	if (tuple)
		sample_tuple(sample, tuple);
	sample->kind = SAMPLE_DROP;
	sample->reason = reason;
	sample->direction = direction;
	sample->file = place >> 16;
	sample->line = place;
	bpf_ringbuf_submit(sample, 0);
	return TC_ACT_SHOT;
}

/* report_answer - one direction's verdict, told in the originator's orientation. @tuple: the packet's */
__noinline int report_answer(struct __sk_buff *skb, const struct tuple *tuple, const struct judged *judged, __u8 direction)
{
	const struct party *originator, *responder;
	const struct answer *answer;
	struct sample *sample;

	if (!tuple || !judged)
		return 0;
	answer = direction == DIRECTION_EGRESS ? &judged->egress : &judged->ingress;
	originator = judged->forward ? &judged->source : &judged->destination;
	responder = judged->forward ? &judged->destination : &judged->source;
	if (answer->reason)
		count(answer->reason, direction, skb->len);
	sample = sample_new(skb->ifindex, skb->len);
	if (!sample)
		return 0;
	if (judged->forward) {
		sample_tuple(sample, tuple);
	} else {
		struct tuple flow;

		tuple_reverse(tuple, &flow);
		sample_tuple(sample, &flow);
		sample->reply = 1;
	}
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
	bpf_ringbuf_submit(sample, 0);
	return 0;
}
