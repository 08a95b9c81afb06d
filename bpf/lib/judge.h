/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Both policies of one flow, in the originator's orientation. */
#pragma once

#include "conntrack.h"
#include "sample.h"

/* frontend_has - somebody serves this address and port as a Service: such a packet was not translated where it should have been. */
static __always_inline bool frontend_has(const struct tuple *tuple)
{
	struct frontend_key key = { .port = tuple->destination_port, .protocol = tuple->protocol };

	__builtin_memcpy(key.address, &tuple->destination, 16);
	return bpf_map_lookup_elem(&sn_frontend_01, &key) != NULL;
}

static __always_inline void question_peer(struct question *question, const struct party *peer, const struct address *address)
{
	question->peer_address = *address;
	question->peer_identity = peer->identity;
	question->peer_variant = peer->variant;
	question->peer_in_cluster = peer->in_cluster;
}

/*
 * judge - asks the policies of the flow's local sides.
 * @tuple: in the originator's orientation
 *
 * A pod cannot be isolated from itself, so such a flow is not judged at all.
 */
__noinline int judge(const struct tuple *tuple, struct judged *judged)
{
	struct question question = {};

	if (!tuple || !judged)
		return 0;
	judged->has_egress = false;
	judged->has_ingress = false;
	judged->egress.reason = REASON_NONE;
	judged->ingress.reason = REASON_NONE;
	judged->egress.rule = 0;
	judged->ingress.rule = 0;
	party_of(&tuple->source, &judged->source);
	party_of(&tuple->destination, &judged->destination);
	if (judged->source.ifindex && judged->source.ifindex == judged->destination.ifindex)
		return 0;
	question.protocol = tuple->protocol;
	question.port = tuple->policy_port;
	if (judged->source.ifindex) {
		judged->has_egress = true;
		if (!judged->destination.known && frontend_has(tuple)) {
			judged->egress.verdict = VERDICT_NONE;
			judged->egress.reason = REASON_IS_CLUSTER_IP;
			judged->egress.line = __LINE__;
			return 0;
		}
		question.identity = judged->source.identity;
		question.variant = judged->source.variant;
		question.direction = DIRECTION_EGRESS;
		question_peer(&question, &judged->destination, &tuple->destination);
		policy_verdict(&question, &judged->egress);
		if (!answer_allows(&judged->egress))
			return 0;
	}
	if (judged->destination.ifindex) {
		judged->has_ingress = true;
		question.identity = judged->destination.identity;
		question.variant = judged->destination.variant;
		question.direction = DIRECTION_INGRESS;
		question_peer(&question, &judged->source, &tuple->source);
		policy_verdict(&question, &judged->ingress);
	}
	return 0;
}

static __always_inline bool judged_allows(const struct judged *judged)
{
	return answer_allows(&judged->egress) && answer_allows(&judged->ingress);
}

/* report - tells each direction that was judged; after a refusal at egress there is no ingress. */
static __always_inline void report(struct __sk_buff *skb, const struct tuple *tuple, const struct judged *judged)
{
	if (judged->has_egress)
		report_answer(skb, tuple, judged, DIRECTION_EGRESS);
	if (judged->has_ingress)
		report_answer(skb, tuple, judged, DIRECTION_INGRESS);
}
