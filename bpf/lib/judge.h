/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Both policies of one flow, by the originator's tuple. */
#pragma once

#include "conntrack.h"
#include "sample.h"
#include "service.h"

static __always_inline void answer_set(struct answer *answer, __u8 reason, __u16 line)
{
	answer->verdict = VERDICT_NONE;
	answer->reason = reason;
	answer->line = line;
	answer->rule = 0;
	answer->proxy_port = 0;
}

/*
 * is_asked - whether this side's policy is asked here: a pod's of this node, the node's own; of a pod elsewhere while
 * this node translates the flow's source. What is no pod has no policy.
 */
static __always_inline bool is_asked(const struct party *party)
{
	return party->ifindex == IFINDEX_FORWARDED ? party->named == NAMED_POD : party->ifindex;
}

/*
 * judged_elsewhere - another node is the packet's source for somebody whom it has judged; none of its processes may bind such a port,
 * and what its pods send to the world has others.
 */
static __always_inline bool judged_elsewhere(const struct party *peer, __be16 port)
{
	return peer->named == NAMED_NODE && peer->ifindex != IFINDEX_HOST && bpf_ntohs(port) >= SNAT_PORT_FIRST &&
	       bpf_ntohs(port) <= SNAT_PORT_LAST;
}

static __always_inline void question_of(struct question *question, const struct party *own, const struct party *peer,
					const struct address *peer_address)
{
	question->identity = own->identity;
	question->variant = own->variant;
	__builtin_memcpy(question->peer_address, peer_address, 16);
	question->peer_identity = peer->identity;
	question->peer_variant = peer->variant;
	question->peer_in_cluster = peer->in_cluster;
}

/*
 * judge - asks the policies of the flow's local sides.
 * @tuple: the packet's
 * @judged: holds both sides and the orientation; gets the answers
 *
 * Local sides are pods of this node and the node itself. Nobody can be isolated from itself, so such a flow is not asked about.
 */
__noinline int judge(const struct tuple *tuple, struct judged *judged)
{
	struct question question = {};

	if (!tuple || !judged)
		return 0;
	judged->has_egress = false;
	judged->has_ingress = false;
	answer_set(&judged->egress, REASON_NONE, 0);
	answer_set(&judged->ingress, REASON_NONE, 0);
	if (judged->source.ifindex == judged->destination.ifindex)
		return 0;
	question.protocol = tuple->protocol;
	question.port = judged->forward ? tuple->policy_port : policy_port_from(tuple->protocol, tuple->source_port);
	if (is_asked(judged->forward ? &judged->source : &judged->destination)) {
		question.direction = DIRECTION_EGRESS;
		if (judged->forward)
			question_of(&question, &judged->source, &judged->destination, &tuple->destination);
		else
			question_of(&question, &judged->destination, &judged->source, &tuple->source);
		judged->has_egress = policy_verdict(&question, &judged->egress);
		if (!answer_allows(&judged->egress))
			return 0;
	}
	if (judged->forward ? judged_elsewhere(&judged->source, tuple->source_port) : judged_elsewhere(&judged->destination, tuple->destination_port))
		return 0;
	if (is_asked(judged->forward ? &judged->destination : &judged->source)) {
		question.direction = DIRECTION_INGRESS;
		if (judged->forward)
			question_of(&question, &judged->destination, &judged->source, &tuple->source);
		else
			question_of(&question, &judged->source, &judged->destination, &tuple->destination);
		judged->has_ingress = policy_verdict(&question, &judged->ingress);
	}
	return 0;
}

static __always_inline bool judged_allows(const struct judged *judged)
{
	return answer_allows(&judged->egress) && answer_allows(&judged->ingress);
}

/*
 * judge_stream - a TCP packet from the middle of a stream, without an entry: the
 * flow may have begun either way. A SYN with ACK answers, so it began the other
 * way. When both are refused the packet's own way is what gets reported.
 */
static __always_inline void judge_stream(const struct tuple *tuple, struct judged *judged)
{
	struct answer egress, ingress;
	bool has_egress, has_ingress;

	if (tuple->tcp_flags & TCP_SYN) {
		judged->forward = false;
		judge(tuple, judged);
		return;
	}
	judge(tuple, judged);
	if (judged_allows(judged))
		return;
	egress = judged->egress;
	ingress = judged->ingress;
	has_egress = judged->has_egress;
	has_ingress = judged->has_ingress;
	judged->forward = false;
	judge(tuple, judged);
	if (judged_allows(judged))
		return;
	judged->forward = true;
	judged->egress = egress;
	judged->ingress = ingress;
	judged->has_egress = has_egress;
	judged->has_ingress = has_ingress;
}
