// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * The programs at a pod's host side veth and at the node's uplinks.
 *
 *   from_pod     veth, tc ingress: what leaves the pod. Egress of the source; where
 *                the destination is on this node, its ingress too. To a pod here it
 *                goes straight, elsewhere straight out of the uplink that the
 *                kernel's routes name; what neither knows goes up the node's stack.
 *   to_pod       veth, tc egress: what the stack sends to the pod, mostly the node
 *                itself. redirect_peer never passes here.
 *   from_netdev  uplink, tc ingress: what is for a pod here is judged and goes
 *                straight to it; what is for the node itself is judged when a policy
 *                selects the node. The rest is the stack's.
 *   to_netdev    uplink, tc egress: what the node itself sends, as above.
 *
 * What is attached are the stubs: they tail-call a slot of sn_progs_01, so an
 * upgrade is one write for all hooks, and an empty slot drops (at an uplink only
 * where the node is isolated: what is for pods meets their own hooks).
 */
#include "lib/arp.h"
#include "lib/forward.h"
#include "lib/judge.h"
#include "lib/ndp.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* The hook that a packet is at. Its own side is who is behind it: a pod, or at an uplink anyone here. */
struct hook {
	bool outbound;			/* the own side is the packet's source */
	bool uplink;
	__u8 direction;			/* of the own side, as drops tell it */
	__u8 pad;
	__u32 epoch;			/* read before anything is judged */
	__u32 now;
};

/*
 * onward - where an allowed packet goes. Past the stack: to a pod here, or out of an uplink. What arrives at
 * to_pod or to_netdev was routed already; what is for the node itself is its stack's.
 */
static __always_inline int onward(struct __sk_buff *skb, const struct packet *packet, const struct hook *hook,
				  __u32 ifindex, const __u8 *mac)
{
	int verdict = TC_ACT_OK;

	count(REASON_NONE, hook->direction, skb->len);
	if (ifindex > IFINDEX_HOST && hook->outbound != hook->uplink)
		verdict = to_local(skb, packet, ifindex, mac);
	else if (!ifindex && hook->outbound && !hook->uplink)
		verdict = to_uplink(skb, packet);
	return verdict < 0 ? drop_plain(skb, &packet->tuple, REASON_WRITE_ERROR, hook->direction, PLACE(FILE_FORWARD)) : verdict;
}

/* onward_by_entry - an entry that vouches holds interface and MAC of both sides. */
static __always_inline int onward_by_entry(struct __sk_buff *skb, const struct packet *packet, const struct hook *hook,
					   const struct ct_entry *entry, bool to_a)
{
	return onward(skb, packet, hook, to_a ? entry->ifindex_a : entry->ifindex_b, to_a ? entry->mac_a : entry->mac_b);
}

/* ct_fill - what a judgement leaves in the entry. */
static __always_inline void ct_fill(struct ct_entry *entry, const struct judged *judged, bool source_is_a, __u32 epoch)
{
	const struct party *a = source_is_a ? &judged->source : &judged->destination;
	const struct party *b = source_is_a ? &judged->destination : &judged->source;
	bool originator_is_a = judged->forward == source_is_a;

	entry->egress_epoch = (originator_is_a ? a->ifindex : b->ifindex) ? epoch : 0;
	entry->ingress_epoch = (originator_is_a ? b->ifindex : a->ifindex) ? epoch : 0;
	entry->egress_rule = judged->egress.rule;
	entry->ingress_rule = judged->ingress.rule;
	entry->ifindex_a = a->ifindex;
	entry->ifindex_b = b->ifindex;
	__builtin_memcpy(entry->mac_a, a->mac, 6);
	__builtin_memcpy(entry->mac_b, b->mac, 6);
}

/*
 * uplink_own - the own side of a packet at an uplink: a pod of this node that it is for, or the node itself while
 * a policy selects it. Pods' packets that leave were judged at their veth. Return: false: none of our business.
 */
static __always_inline bool uplink_own(const struct tuple *tuple, bool outbound, struct party *own)
{
	const struct address *address = outbound ? &tuple->source : &tuple->destination;

	if (!outbound && endpoint_read(address, own))
		return true;
	__builtin_memset(own, 0, sizeof(*own));
	own->identity = IDENTITY_HOST;
	own->ifindex = IFINDEX_HOST;
	own->named = true;
	return host_judged(address);
}

/*
 * sides_of - who the packet is from and to. The own side is here: a pod speaks
 * with its own addresses only, and is spoken to at them; nobody who is here
 * speaks from outside. At an uplink the own side is known already.
 * Return: 0, or the drop reason.
 */
static __always_inline __u8 sides_of(struct __sk_buff *skb, const struct tuple *tuple, const struct hook *hook, struct judged *judged)
{
	if (hook->uplink) {
		struct party *peer = hook->outbound ? &judged->destination : &judged->source;

		party_of(hook->outbound ? &tuple->destination : &tuple->source, peer);
		return !hook->outbound && peer->ifindex ? REASON_INVALID_SOURCE_IP : REASON_NONE;
	}
	if (hook->outbound) {
		if (!endpoint_read(&tuple->source, &judged->source) || judged->source.ifindex != skb->ifindex)
			return REASON_INVALID_SOURCE_IP;
		party_of(&tuple->destination, &judged->destination);
	} else {
		if (!endpoint_read(&tuple->destination, &judged->destination) || judged->destination.ifindex != skb->ifindex)
			return REASON_STALE_IP;
		party_of(&tuple->source, &judged->source);
	}
	return REASON_NONE;
}

/*
 * judge_packet - the slow path: a flow without an entry, or with one that does not vouch.
 * @entry: the standing entry's copy; expiry 0 = none
 */
static __always_inline int judge_packet(struct __sk_buff *skb, const struct packet *packet, const struct hook *hook,
					const struct ct_key *key, struct ct_entry *entry)
{
	const struct tuple *tuple = &packet->tuple;
	bool source_is_a = tuple_source_is_a(tuple), standing = entry->expiry;
	struct judged judged = {};
	__u8 reason;

	if (hook->uplink && !uplink_own(tuple, hook->outbound, hook->outbound ? &judged.source : &judged.destination))
		return TC_ACT_OK;
	if (!hook->epoch)
		return drop_plain(skb, tuple, REASON_HOST_NOT_READY, hook->direction, PLACE(FILE_POD));
	reason = sides_of(skb, tuple, hook, &judged);
	if (reason)
		return drop_plain(skb, tuple, reason, hook->direction, PLACE(FILE_POD));

	judged.forward = !standing || source_is_a == !!(entry->flags & CT_ORIGINATOR_A);
	if (!standing && tuple->protocol == IPPROTO_TCP && (tuple->tcp_flags & (TCP_SYN | TCP_ACK)) != TCP_SYN)
		judge_stream(tuple, &judged);
	else
		judge(tuple, &judged);
	report(skb, tuple, &judged);
	/* A refused flow keeps its entry: without it the next packet could pass as a stream that began the other way. */
	if (!judged_allows(&judged))
		return TC_ACT_SHOT;

	if (standing || !(packet->icmp_error || packet->icmp_other || (tuple->tcp_flags & TCP_RST))) {
		if (!standing)
			entry->flags = judged.forward == source_is_a ? CT_ORIGINATOR_A : 0;
		ct_fill(entry, &judged, source_is_a, hook->epoch);
		entry->flags = ct_flags_after(entry->flags, source_is_a, tuple->tcp_flags);
		entry->expiry = hook->now + ct_lifetime(tuple->protocol, entry->flags);
		if (ct_store(key, entry))
			return drop_plain(skb, tuple, REASON_MAP_INSERT, hook->direction, PLACE(FILE_POD));
	}
	return onward(skb, packet, hook, judged.destination.ifindex, judged.destination.mac);
}

/*
 * related - an ICMP error about a live flow goes its way: the packet inside is one
 * that this error's receiver sent. A pod may only tell of what was sent to it; the node tells of what it forwards.
 * Return: a verdict, or -1: judge it as a packet of its own.
 */
static __always_inline int related(struct __sk_buff *skb, const struct packet *packet, const struct hook *hook)
{
	struct packet inner = { .v6 = packet->v6 };
	struct ct_key key __attribute__((aligned(8)));
	struct ct_entry entry;
	bool source_is_a;

	if (parse_ip(skb, &inner, packet->l4_offset + 8, true) || inner.icmp_error ||
	    !address_equal(&inner.tuple.source, &packet->tuple.destination))
		return -1;
	if (hook->outbound && !hook->uplink && !address_equal(&inner.tuple.destination, &packet->tuple.source))
		return -1;
	source_is_a = !ct_key_of(&inner.tuple, &key);	/* this error goes the other way than what it tells of */
	if (!ct_read(&key, &entry, hook->now) || !ct_vouches(&entry, source_is_a == hook->outbound, hook->uplink ? 0 : skb->ifindex, hook->epoch))
		return -1;
	return onward_by_entry(skb, packet, hook, &entry, !source_is_a);
}

/*
 * not_understood - at an uplink what cannot be read goes to the stack, and what is for a pod to that pod's own hook.
 * Only a node that is isolated does not hear it: behind half a header may stand what its policy denies.
 */
static __always_inline int not_understood(struct __sk_buff *skb, const struct packet *packet, const struct hook *hook, __u8 reason)
{
	if (hook->uplink && !host_judged(hook->outbound ? &packet->tuple.source : &packet->tuple.destination))
		return TC_ACT_OK;
	return drop_plain(skb, &packet->tuple, reason, hook->direction, PLACE(FILE_PACKET));
}

/* family_of - Return: 0 to go on, or a drop reason; sets the family. */
static __always_inline __u8 family_of(const struct __sk_buff *skb, struct packet *packet)
{
	if (skb->vlan_present)
		return REASON_UNSUPPORTED_L2;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return REASON_NONE;
	if (skb->protocol != bpf_htons(ETH_P_IPV6))
		return REASON_UNSUPPORTED_L2;
	packet->v6 = true;
	return REASON_NONE;
}

static __always_inline int handle(struct __sk_buff *skb, bool outbound, bool uplink)
{
	struct hook hook = { .outbound = outbound, .uplink = uplink, .direction = outbound ? DIRECTION_EGRESS : DIRECTION_INGRESS };
	struct ct_key key __attribute__((aligned(8)));
	struct packet packet = {};
	struct ct_entry entry;
	struct ct_entry *live;
	bool source_is_a;
	int reason;

	if (skb->protocol == bpf_htons(ETH_P_ARP))
		return outbound && !uplink ? arp_from_pod(skb) : TC_ACT_OK;
	reason = family_of(skb, &packet);
	if (reason) {
		if (uplink)
			return TC_ACT_OK;
		count(reason, hook.direction, skb->len);
		return TC_ACT_SHOT;
	}
	reason = parse_ip(skb, &packet, ETH_HLEN, false);
	if (packet.link_local) {
		if (uplink)
			return TC_ACT_OK;
		return outbound ? ndp_from_pod(skb, &packet) : ndp_to_pod(&packet);
	}
	if (address_is_nobody(&packet.tuple.destination) && reason != REASON_INVALID_PACKET) {
		if (uplink)
			return TC_ACT_OK;
		count(REASON_UNSUPPORTED_L3, hook.direction, skb->len);
		return TC_ACT_SHOT;
	}
	if (reason)
		return not_understood(skb, &packet, &hook, reason);

	hook.epoch = epoch_now();
	hook.now = ct_now();
	if (packet.icmp_error) {
		int verdict = related(skb, &packet, &hook);

		if (verdict >= 0)
			return verdict;
	}
	source_is_a = ct_key_of(&packet.tuple, &key);
	/* Among ICMP only an echo has ports that name a flow. */
	live = packet.icmp_error || (packet.icmp_other && !packet.icmp_echo) ? NULL : ct_read(&key, &entry, hook.now);
	if (live && !ct_begins_anew(&entry, source_is_a, &packet)) {
		if (ct_vouches(&entry, source_is_a == outbound, uplink ? 0 : skb->ifindex, hook.epoch)) {
			ct_touch(live, &entry, source_is_a, &packet.tuple, hook.now);
			return onward_by_entry(skb, &packet, &hook, &entry, !source_is_a);
		}
	} else {
		__builtin_memset(&entry, 0, sizeof(entry));
	}
	return judge_packet(skb, &packet, &hook, &key, &entry);
}

SEC("tc")
int from_pod(struct __sk_buff *skb)
{
	return handle(skb, true, false);
}

SEC("tc")
int to_pod(struct __sk_buff *skb)
{
	return handle(skb, false, false);
}

SEC("tc")
int from_netdev(struct __sk_buff *skb)
{
	return handle(skb, false, true);
}

SEC("tc")
int to_netdev(struct __sk_buff *skb)
{
	if (skb->mark & MARK_JUDGED) {
		skb->mark &= ~MARK_JUDGED;
		return TC_ACT_OK;
	}
	return host_enforced() ? handle(skb, true, true) : TC_ACT_OK;
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

/* missed_at_uplink - pods stay closed by their own hooks; a node that is isolated closes here, any other would be cut off. */
static __always_inline int missed_at_uplink(struct __sk_buff *skb, __u8 direction)
{
	return host_enforced() ? drop_plain(skb, NULL, REASON_MISSED_TAIL_CALL, direction, PLACE(FILE_STUB)) : TC_ACT_OK;
}

SEC("tc")
int stub_from_netdev(struct __sk_buff *skb)
{
	bpf_tail_call_static(skb, &sn_progs_01, SLOT_FROM_NETDEV);
	return missed_at_uplink(skb, DIRECTION_INGRESS);
}

SEC("tc")
int stub_to_netdev(struct __sk_buff *skb)
{
	bpf_tail_call_static(skb, &sn_progs_01, SLOT_TO_NETDEV);
	return missed_at_uplink(skb, DIRECTION_EGRESS);
}
