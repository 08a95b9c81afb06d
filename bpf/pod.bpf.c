// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * The programs at a pod's host side veth.
 *
 *   from_pod   tc ingress: what leaves the pod. Egress of the source; where the
 *              destination is on this node, its ingress too, and the packet goes
 *              straight to it. Everything else goes up the node's stack.
 *   to_pod     tc egress: what the stack sends to the pod (the node itself, other
 *              nodes, the world). redirect_peer never passes here.
 *
 * What is attached are the stubs: they tail-call a slot of sn_progs_01, so an
 * upgrade is one write for all pods, and an empty slot drops.
 */
#include "lib/arp.h"
#include "lib/forward.h"
#include "lib/judge.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline __u32 epoch_now(void)
{
	__u32 zero = 0;
	__u32 *epoch = bpf_map_lookup_elem(&sn_epoch_01, &zero);

	return epoch ? *epoch : 0;
}

/* What a hook must find of its own pod: anti-spoofing on the way out, a stale address on the way in. */
static __always_inline bool own_pod(const struct __sk_buff *skb, const struct address *address)
{
	struct party party = {};

	return endpoint_read(address, &party) && party.ifindex == skb->ifindex;
}

/* ct_fill - the entry that a judged flow gets. @from_a: the originator is side a. */
static __always_inline void ct_fill(struct ct_entry *entry, const struct judged *judged, bool from_a, __u32 epoch)
{
	const struct party *a = from_a ? &judged->source : &judged->destination;
	const struct party *b = from_a ? &judged->destination : &judged->source;

	entry->egress_epoch = judged->source.ifindex ? epoch : 0;
	entry->ingress_epoch = judged->destination.ifindex ? epoch : 0;
	entry->egress_rule = judged->egress.rule;
	entry->ingress_rule = judged->ingress.rule;
	entry->ifindex_a = a->ifindex;
	entry->ifindex_b = b->ifindex;
	__builtin_memcpy(entry->mac_a, a->mac, 6);
	__builtin_memcpy(entry->mac_b, b->mac, 6);
}

/* onward - where an allowed packet goes from this hook. */
static __always_inline int onward(struct __sk_buff *skb, const struct packet *packet, bool from_pod, __u32 ifindex, const __u8 *mac)
{
	return from_pod && ifindex ? to_local(skb, packet, ifindex, mac) : TC_ACT_OK;
}

/* icmp_error_related - the error belongs to a live flow: the packet inside is one of its own. */
static __always_inline bool icmp_error_related(struct __sk_buff *skb, const struct packet *outer)
{
	struct packet inner = { .v6 = outer->v6 };
	struct ct_key key;
	struct ct_entry *entry;

	if (parse_ip(skb, &inner, outer->l4_offset + 8, true))
		return false;
	ct_key_of(&inner.tuple, &key);
	entry = ct_lookup(&key);
	return entry && entry->expiry > ct_now();
}

/*
 * judge_and_track - the slow path: a flow without an entry, or with a stale one.
 * @standing: the entry is live and the packet belongs to it
 */
static __always_inline int judge_and_track(struct __sk_buff *skb, const struct packet *packet, const struct ct_key *key,
					   struct ct_entry *standing, bool source_is_a, bool from_pod)
{
	const struct tuple *tuple = &packet->tuple;
	__u8 direction = from_pod ? DIRECTION_EGRESS : DIRECTION_INGRESS;
	__u32 epoch = epoch_now();
	struct judged judged = {};
	struct tuple reversed;
	struct ct_entry entry = {};
	bool forward = true, tracked = !packet->icmp_other && !packet->icmp_error;

	if (from_pod && !own_pod(skb, &tuple->source))
		return drop_plain(skb, tuple, REASON_INVALID_SOURCE_IP, direction, PLACE(FILE_POD));
	if (!from_pod && !own_pod(skb, &tuple->destination))
		return drop_plain(skb, tuple, REASON_STALE_IP, direction, PLACE(FILE_POD));

	if (standing)
		forward = source_is_a == !!(standing->flags & CT_ORIGINATOR_A);
	tuple_reverse(tuple, &reversed);
	judge(forward ? tuple : &reversed, &judged);
	/* A packet from the middle of a stream: a reply of a flow that policy allows the other way. */
	if (!judged_allows(&judged) && !standing && tuple->protocol == IPPROTO_TCP && !(tuple->tcp_flags & TCP_SYN)) {
		judge(&reversed, &judged);
		forward = !judged_allows(&judged);
		if (forward)
			judge(tuple, &judged);
	}
	report(skb, forward ? tuple : &reversed, &judged);
	if (!judged_allows(&judged))
		return TC_ACT_SHOT;

	if (tracked && !(tuple->tcp_flags & TCP_RST)) {
		__u32 now = ct_now();
		bool originator_is_a = forward == source_is_a;

		if (standing) {
			ct_fill(standing, &judged, originator_is_a, epoch);
			ct_touch(standing, source_is_a, tuple, now);
		} else {
			ct_fill(&entry, &judged, originator_is_a, epoch);
			entry.flags = ct_flags_after(originator_is_a ? CT_ORIGINATOR_A : 0, source_is_a, tuple->tcp_flags);
			entry.expiry = now + ct_lifetime(tuple->protocol, entry.flags);
			ct_store(key, &entry);
		}
	}
	if (forward)
		return onward(skb, packet, from_pod, judged.destination.ifindex, judged.destination.mac);
	return onward(skb, packet, from_pod, judged.source.ifindex, judged.source.mac);
}

static __always_inline int handle(struct __sk_buff *skb, bool from_pod)
{
	struct packet packet = {};
	const struct tuple *tuple = &packet.tuple;
	__u8 direction = from_pod ? DIRECTION_EGRESS : DIRECTION_INGRESS;
	struct ct_entry *entry;
	struct ct_key key;
	bool source_is_a;
	int reason;

	switch (skb->protocol) {
	case bpf_htons(ETH_P_IP):
		break;
	case bpf_htons(ETH_P_IPV6):
		packet.v6 = true;
		break;
	case bpf_htons(ETH_P_ARP):
		return from_pod ? arp_from_pod(skb) : TC_ACT_OK;
	default:
		count(skb, REASON_UNSUPPORTED_L2, direction);
		return TC_ACT_SHOT;
	}
	reason = parse_ip(skb, &packet, ETH_HLEN, false);
	/* Neighbour discovery, MLD and their like stay on the link: swallowed, no sample. */
	if (packet.v6 && (packet.tuple.source.high & 0xc0ff) == 0x80fe)
		return TC_ACT_SHOT;
	if (packet.v6 && !packet.tuple.source.high && !packet.tuple.source.low)
		return TC_ACT_SHOT;
	if (reason)
		return drop_plain(skb, tuple, reason, direction, PLACE(FILE_POD));

	if (packet.icmp_error && icmp_error_related(skb, &packet)) {
		struct party party = {};

		if (from_pod && !own_pod(skb, &tuple->source))
			return drop_plain(skb, tuple, REASON_INVALID_SOURCE_IP, direction, PLACE(FILE_POD));
		if (!endpoint_read(&tuple->destination, &party))
			party.ifindex = 0;
		return onward(skb, &packet, from_pod, party.ifindex, party.mac);
	}

	source_is_a = ct_key_of(tuple, &key);
	entry = packet.icmp_error || packet.icmp_other ? NULL : ct_lookup(&key);
	if (entry) {
		__u32 now = ct_now(), epoch = epoch_now();
		bool originator_is_a = entry->flags & CT_ORIGINATOR_A;
		bool syn = (tuple->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
		__u32 own = source_is_a == from_pod ? entry->ifindex_a : entry->ifindex_b;

		if (entry->expiry <= now || (syn && (source_is_a != originator_is_a || ct_closed(entry)))) {
			/* Expired; a SYN against the entry's direction, or after the end: a new flow in its own direction. */
			entry = NULL;
		} else if (own == skb->ifindex && (!entry->egress_epoch || entry->egress_epoch == epoch) &&
			   (!entry->ingress_epoch || entry->ingress_epoch == epoch)) {
			ct_touch(entry, source_is_a, tuple, now);
			return source_is_a ? onward(skb, &packet, from_pod, entry->ifindex_b, entry->mac_b) :
					     onward(skb, &packet, from_pod, entry->ifindex_a, entry->mac_a);
		}
	}
	return judge_and_track(skb, &packet, &key, entry, source_is_a, from_pod);
}

SEC("tc")
int from_pod(struct __sk_buff *skb)
{
	return handle(skb, true);
}

SEC("tc")
int to_pod(struct __sk_buff *skb)
{
	return handle(skb, false);
}

SEC("tc")
int stub_from_pod(struct __sk_buff *skb)
{
	bpf_tail_call_static(skb, &sn_progs_01, SLOT_FROM_POD);
	return drop_plain(skb, NULL, REASON_MISSED_TAIL_CALL, DIRECTION_EGRESS, PLACE(FILE_STUB));
}

SEC("tc")
int stub_to_pod(struct __sk_buff *skb)
{
	bpf_tail_call_static(skb, &sn_progs_01, SLOT_TO_POD);
	return drop_plain(skb, NULL, REASON_MISSED_TAIL_CALL, DIRECTION_INGRESS, PLACE(FILE_STUB));
}
