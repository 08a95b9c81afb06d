/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the kernel tells: drops and verdicts, counted always, sampled while the ring has room. */
#pragma once

#include "packet.h"
#include "policy.h"

/* Both sides of a flow and what was decided, in the originator's orientation. */
struct judged {
	struct party source;
	struct party destination;
	struct answer egress;
	struct answer ingress;
	bool has_egress;		/* judged here: the side is a local pod, and not the flow's other side too */
	bool has_ingress;
};

static __always_inline void count(struct __sk_buff *skb, __u8 reason, __u8 direction)
{
	struct metric_key key = { .reason = reason, .direction = direction };
	struct metric *value = bpf_map_lookup_elem(&sn_metrics_01, &key);
	struct metric first = { .packets = 1, .bytes = skb->len };

	if (value) {
		value->packets++;
		value->bytes += skb->len;
	} else {
		bpf_map_update_elem(&sn_metrics_01, &key, &first, BPF_NOEXIST);
	}
}

/*
 * sample_new - room for one sample, with what every sample holds; the caller fills the rest and submits.
 * Return: NULL when the ring is full; the loss is told by this CPU's next sample.
 */
static __always_inline struct sample *sample_new(struct __sk_buff *skb, const struct tuple *tuple)
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
	sample->length = skb->len;
	sample->ifindex = skb->ifindex;
	if (lost) {
		sample->lost = *lost;
		*lost = 0;
	}
	if (tuple) {
		__builtin_memcpy(sample->source, &tuple->source, 16);
		__builtin_memcpy(sample->destination, &tuple->destination, 16);
		sample->protocol = tuple->protocol;
		sample->tcp_flags = tuple->tcp_flags;
		if (tuple->protocol == IPPROTO_ICMP || tuple->protocol == IPPROTO_ICMPV6) {
			sample->source_port = tuple->source_port;
			sample->destination_port = tuple->policy_port;
		} else {
			sample->source_port = tuple->source_port;
			sample->destination_port = tuple->destination_port;
		}
	}
	return sample;
}

/* drop_plain - drops for what the packet is, before or beside policy. Return: TC_ACT_SHOT. */
__noinline int drop_plain(struct __sk_buff *skb, const struct tuple *tuple, __u8 reason, __u8 direction, __u32 place)
{
	struct sample *sample;

	count(skb, reason, direction);
	sample = sample_new(skb, tuple);
	if (sample) {
		sample->kind = SAMPLE_DROP;
		sample->reason = reason;
		sample->direction = direction;
		sample->file = place >> 16;
		sample->line = place;
		bpf_ringbuf_submit(sample, 0);
	}
	return TC_ACT_SHOT;
}

#define PLACE(file) ((__u32)(file) << 16 | __LINE__)

/* report_answer - one direction's verdict, told. */
__noinline int report_answer(struct __sk_buff *skb, const struct tuple *tuple, const struct judged *judged, __u8 direction)
{
	const struct answer *answer;
	struct sample *sample;

	if (!tuple || !judged)
		return 0;
	answer = direction == DIRECTION_EGRESS ? &judged->egress : &judged->ingress;
	if (answer->reason)
		count(skb, answer->reason, direction);
	sample = sample_new(skb, tuple);
	if (!sample)
		return 0;
	sample->kind = answer->reason ? SAMPLE_DROP : SAMPLE_VERDICT;
	sample->reason = answer->reason;
	sample->direction = direction;
	sample->verdict = answer->verdict;
	sample->rule = answer->rule;
	sample->file = FILE_POLICY;
	sample->line = answer->line;
	sample->source_identity = judged->source.identity;
	sample->destination_identity = judged->destination.identity;
	sample->endpoint_id = direction == DIRECTION_EGRESS ? judged->source.endpoint_id : judged->destination.endpoint_id;
	bpf_ringbuf_submit(sample, 0);
	return 0;
}
