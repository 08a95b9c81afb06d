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
 * What is attached are the stubs: they tail-call a slot of sn_progs_03, so an
 * upgrade is one write for all hooks, and an empty slot drops (at an uplink only
 * where the node is isolated: what is for pods meets their own hooks).
 */
#include "lib/arp.h"
#include "lib/forward.h"
#include "lib/judge.h"
#include "lib/nat.h"
#include "lib/ndp.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* The hook that a packet is at. Its own side is who is behind it: a pod, or at an uplink anyone here. */
struct hook {
	bool outbound;			/* the own side is the packet's source */
	bool uplink;
	bool again;			/* no flow that stands goes through by one step */
	bool translated;		/* the service programs have had it: a backend stands for the frontend */
	__u8 direction;			/* of the own side, as drops tell it */
	__u32 epoch;			/* read before anything is judged */
	__u32 now;
};

/* host_serves - some Service's backend is the node itself: what it sends may be an answer. */
static __always_inline bool host_serves(void)
{
	__u32 zero = 0;
	struct self *self = bpf_map_lookup_elem(&sn_self_01, &zero);

	return self && (self->flags & SELF_SERVES);
}

/*
 * answer - the packet answers one that was translated here: it gets its frontend back, and goes on as that.
 * At to_pod and to_netdev the stack carries it on. Only where the programs are missing does this return.
 */
static __always_inline int answer(struct __sk_buff *skb, const struct packet *packet, const struct hook *hook)
{
	bpf_tail_call_static(skb, &sn_progs_03, hook->outbound != hook->uplink || hook->translated ? SLOT_ANSWER : SLOT_ANSWER_HERE);
	return drop_plain(skb, &packet->tuple, REASON_MISSED_TAIL_CALL, hook->direction, PLACE(FILE_POD));
}

/*
 * onward - where an allowed packet goes. Past the stack: to a pod here, or out of an uplink. What arrives at
 * to_pod or to_netdev was routed already; what is for the node itself is its stack's.
 * @masqueraded: it leaves with the node's own address
 */
static __always_inline int onward(struct __sk_buff *skb, const struct packet *packet, const struct hook *hook,
				  __u32 ifindex, const __u8 *mac, bool masqueraded)
{
	int verdict = TC_ACT_OK;

	if (!hook->uplink && hook->outbound && masqueraded) {
		bpf_tail_call_static(skb, &sn_progs_03, SLOT_MASQUERADE);
		return drop_plain(skb, &packet->tuple, REASON_MISSED_TAIL_CALL, hook->direction, PLACE(FILE_POD));
	}
	if (hook->translated && !hook->outbound && ifindex == IFINDEX_FORWARDED) {
		bpf_tail_call_static(skb, &sn_progs_03, SLOT_SNAT);
		return drop_plain(skb, &packet->tuple, REASON_MISSED_TAIL_CALL, hook->direction, PLACE(FILE_POD));
	}
	count(REASON_NONE, hook->direction, skb->len);
	if (ifindex > IFINDEX_HOST && ifindex != IFINDEX_FORWARDED && hook->outbound != hook->uplink)
		verdict = to_local(skb, packet, ifindex, mac);
	else if (!ifindex && hook->outbound && !hook->uplink)
		verdict = to_uplink(skb, packet);
	return verdict < 0 ? drop_plain(skb, &packet->tuple, REASON_WRITE_ERROR, hook->direction, PLACE(FILE_FORWARD)) : verdict;
}

/* onward_by_entry - an entry that vouches holds interface and MAC of both sides. */
static __always_inline int onward_by_entry(struct __sk_buff *skb, const struct packet *packet, const struct hook *hook,
					   const struct ct_entry *entry, bool to_a)
{
	bool answers = to_a == !!(entry->flags & CT_ORIGINATOR_A);

	if ((entry->flags & CT_TRANSLATED) && answers)
		return answer(skb, packet, hook);
	return onward(skb, packet, hook, to_a ? entry->ifindex_a : entry->ifindex_b, to_a ? entry->mac_a : entry->mac_b,
		      (entry->flags & CT_MASQUERADED) && !answers);
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
 * a policy selects it. Pods' packets that leave were judged at their veth. Of what is translated here, a backend elsewhere too.
 * Return: false: none of our business.
 */
static __always_inline bool uplink_own(const struct tuple *tuple, bool outbound, bool translated, struct party *own)
{
	const struct address *address = outbound ? &tuple->source : &tuple->destination;

	if (!outbound && endpoint_read(address, own))
		return true;
	if (translated) {
		party_find(address, own);
		if (!own->ifindex)
			own->ifindex = IFINDEX_FORWARDED;
		return true;
	}
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

/* is_frontend - somebody there speaks to a frontend. A global function, for the stack. */
__noinline int is_frontend(const struct tuple *tuple, __u8 scope)
{
	struct frontend_key key = {};
	struct frontend frontend = {};

	if (!tuple)
		return 0;
	key.port = tuple->destination_port;
	key.protocol = tuple->protocol;
	key.scope = scope;
	__builtin_memcpy(key.address, &tuple->destination, 16);
	return frontend_find(&key, &frontend);
}

/* is_service_inside - a pod speaks to a frontend that its socket did not translate, or to itself through one. */
static __always_inline bool is_service_inside(const struct tuple *tuple, const struct party *destination, bool standing)
{
	if (is_loopback_source(&tuple->destination))
		return true;
	return !standing && (!destination->named || destination->ifindex == IFINDEX_HOST) && is_frontend(tuple, SCOPE_INSIDE);
}

/* is_service_outside - what comes by an uplink is for a frontend, or answers what this node is the source of for somebody. */
static __always_inline bool is_service_outside(const struct tuple *tuple)
{
	struct party party;

	if (endpoint_read(&tuple->destination, &party))
		return false;
	return (is_snat_port(tuple->destination_port) && nat_known(tuple)) || is_frontend(tuple, SCOPE_OUTSIDE);
}

/*
 * translation_forget - policy refuses what the service program chose: nothing is kept of it, so that nobody who is
 * refused fills the table. A global function, for the stack that both halves take. Return: 0.
 */
__noinline int translation_forget(const struct tuple *tuple)
{
	struct nat_entry answer;
	struct nat_key key;
	struct tuple back;

	if (!tuple)
		return 0;
	tuple_reverse(tuple, &back);
	nat_key_of(&back, &key);
	if (!nat_read(&key, &answer))
		return 0;
	bpf_map_delete_elem(&sn_nat_01, &key);
	nat_key_reverse(&answer, tuple->protocol, &key);
	bpf_map_delete_elem(&sn_nat_01, &key);
	return 0;
}

/*
 * is_masqueraded - what a pod begins towards somebody outside leaves with its node's address. Of the middle of a stream
 * only what is translated already, by whichever side it began: it may answer who came to the pod itself. A global function, for the stack.
 */
__noinline int is_masqueraded(const struct tuple *tuple)
{
	struct cidr_key range = { .prefix_length = 128 };
	struct self *self;
	__u32 family, *kept;

	if (!tuple)
		return 0;
	if (tuple->protocol == IPPROTO_TCP && (tuple->tcp_flags & (TCP_SYN | TCP_ACK)) != TCP_SYN)
		return nat_sources(tuple);
	family = !address_is_v4(&tuple->destination);
	self = bpf_map_lookup_elem(&sn_self_01, &family);
	if (!self || !(self->flags & SELF_MASQUERADES))
		return 0;
	__builtin_memcpy(range.address, &tuple->destination, 16);
	kept = bpf_map_lookup_elem(&sn_nomasq_01, &range);
	return !kept || !*kept;
}

/* masquerade_flag - of a new flow. An answer that made it through its translation finds that, where only the entry was lost. */
static __always_inline __u8 masquerade_flag(const struct tuple *tuple, const struct hook *hook, const struct judged *judged)
{
	if (hook->uplink)
		return hook->translated && !hook->outbound && !judged->forward && nat_known_back(tuple) ? CT_MASQUERADED : 0;
	if (!hook->outbound || !judged->forward || judged->destination.named || judged->destination.ifindex)
		return 0;
	return is_masqueraded(tuple) ? CT_MASQUERADED : 0;
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

	/* An empty slot is the long way. */
	if (hook->uplink && !hook->outbound && !hook->translated && !standing && !hook->again && nat_known(tuple))
		bpf_tail_call_static(skb, &sn_progs_03, SLOT_THROUGH);
	if (hook->uplink && !hook->outbound && !hook->translated && !standing && is_service_outside(tuple)) {
		bpf_tail_call_static(skb, &sn_progs_03, SLOT_SERVICE_NETDEV);
		return drop_plain(skb, tuple, REASON_MISSED_TAIL_CALL, hook->direction, PLACE(FILE_POD));
	}
	if (hook->uplink && !uplink_own(tuple, hook->outbound, hook->translated, hook->outbound ? &judged.source : &judged.destination))
		return TC_ACT_OK;
	if (!hook->epoch)
		return drop_plain(skb, tuple, REASON_HOST_NOT_READY, hook->direction, PLACE(FILE_POD));
	reason = sides_of(skb, tuple, hook, &judged);
	if (reason)
		return drop_plain(skb, tuple, reason, hook->direction, PLACE(FILE_POD));

	if (!hook->uplink && hook->outbound && !hook->translated && is_service_inside(tuple, &judged.destination, standing)) {
		bpf_tail_call_static(skb, &sn_progs_03, SLOT_SERVICE_POD);
		return drop_plain(skb, tuple, REASON_MISSED_TAIL_CALL, hook->direction, PLACE(FILE_POD));
	}

	if (!standing && !hook->translated && nat_answers(tuple))
		entry->flags = CT_TRANSLATED;
	judged.forward = standing ? source_is_a == !!(entry->flags & CT_ORIGINATOR_A) : !entry->flags;
	if (!standing && !entry->flags && tuple->protocol == IPPROTO_TCP && (tuple->tcp_flags & (TCP_SYN | TCP_ACK)) != TCP_SYN)
		judge_stream(tuple, &judged);
	else
		judge(tuple, &judged);
	report(skb, tuple, &judged);
	/* A refused flow keeps its entry: without it the next packet could pass as a stream that began the other way. */
	if (!judged_allows(&judged)) {
		if (hook->translated && judged.forward)
			translation_forget(tuple);
		return TC_ACT_SHOT;
	}

	if (!standing)
		entry->flags |= (judged.forward == source_is_a ? CT_ORIGINATOR_A : 0) | masquerade_flag(tuple, hook, &judged);
	if (standing || !(packet->icmp_error || packet->icmp_other || (tuple->tcp_flags & TCP_RST))) {
		ct_fill(entry, &judged, source_is_a, hook->epoch);
		if (hook->translated)
			entry->flags |= CT_TRANSLATED;
		entry->flags = ct_flags_after(entry->flags, source_is_a, tuple->tcp_flags);
		entry->expiry = hook->now + ct_lifetime(tuple->protocol, entry->flags);
		if (ct_store(key, entry))
			return drop_plain(skb, tuple, REASON_MAP_INSERT, hook->direction, PLACE(FILE_POD));
		if ((entry->flags & CT_TRANSLATED) && !judged.forward)
			return answer(skb, packet, hook);
	}
	return onward(skb, packet, hook, judged.destination.ifindex, judged.destination.mac, (entry->flags & CT_MASQUERADED) && judged.forward);
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
	if (ct_read(&key, &entry, hook->now) && ct_vouches(&entry, source_is_a == hook->outbound, hook->uplink ? 0 : skb->ifindex, hook->epoch))
		return onward_by_entry(skb, packet, hook, &entry, !source_is_a);
	/* It tells of a packet that was translated here: translated as what would answer that, it may be about a live flow. */
	if (!hook->translated && hook->outbound != hook->uplink && nat_known_back(&inner.tuple)) {
		bpf_tail_call_static(skb, &sn_progs_03, hook->uplink ? SLOT_ERROR_NETDEV : SLOT_ERROR_POD);
		return drop_plain(skb, &packet->tuple, REASON_MISSED_TAIL_CALL, hook->direction, PLACE(FILE_POD));
	}
	return -1;
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

/*
 * direct_found - the packet says which frontend its client asked for. Only what comes by an uplink, first, may; a pod neither says nor hears it.
 */
static __always_inline int direct_found(struct __sk_buff *skb, const struct packet *packet, const struct hook *hook)
{
	if (hook->uplink && !hook->translated) {
		bpf_tail_call_static(skb, &sn_progs_03, SLOT_DIRECT_HERE);
		return drop_plain(skb, &packet->tuple, REASON_MISSED_TAIL_CALL, hook->direction, PLACE(FILE_POD));
	}
	return drop_plain(skb, &packet->tuple, hook->outbound ? REASON_INVALID_SOURCE_IP : REASON_NO_BACKEND, hook->direction, PLACE(FILE_POD));
}

static __always_inline int handle(struct __sk_buff *skb, bool outbound, bool uplink, bool translated, bool again)
{
	struct hook hook = { .outbound = outbound, .uplink = uplink, .again = again, .translated = translated, .direction = outbound ? DIRECTION_EGRESS : DIRECTION_INGRESS };
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
	if (packet.direct && !(uplink && outbound))
		return direct_found(skb, &packet, &hook);

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
			/* A flow that began without a frontend and now has one is answered by it. */
			if (translated && source_is_a == !!(entry.flags & CT_ORIGINATOR_A) && !(entry.flags & CT_TRANSLATED)) {
				entry.flags |= CT_TRANSLATED;
				ct_store(&key, &entry);
			}
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
	return handle(skb, true, false, false, false);
}

SEC("tc")
int to_pod(struct __sk_buff *skb)
{
	return handle(skb, false, false, false, false);
}

SEC("tc")
int from_netdev(struct __sk_buff *skb)
{
	return handle(skb, false, true, false, false);
}

SEC("tc")
int to_netdev(struct __sk_buff *skb)
{
	if (skb->mark & MARK_JUDGED) {
		skb->mark &= ~MARK_JUDGED;
		return TC_ACT_OK;
	}
	if (skb->mark & MARK_MASQUERADE) {
		bpf_tail_call_static(skb, &sn_progs_03, SLOT_MASQUERADE);
		return drop_plain(skb, NULL, REASON_MISSED_TAIL_CALL, DIRECTION_EGRESS, PLACE(FILE_POD));
	}
	return host_enforced() || host_serves() ? handle(skb, true, true, false, false) : TC_ACT_OK;
}

/* Again, once the service programs have put a backend in the frontend's place. */
SEC("tc")
int pod_translated(struct __sk_buff *skb)
{
	return handle(skb, true, false, true, false);
}

SEC("tc")
int netdev_translated(struct __sk_buff *skb)
{
	return handle(skb, false, true, true, false);
}

/* Again, where the packet's translation stands and it does not go through by one step. */
SEC("tc")
int netdev_again(struct __sk_buff *skb)
{
	return handle(skb, false, true, false, true);
}

SEC("tc")
int netdev_answer(struct __sk_buff *skb)
{
	return handle(skb, true, true, true, false);
}

SEC("tc")
int stub_from_pod(struct __sk_buff *skb)
{
	bpf_tail_call_static(skb, &sn_progs_03, SLOT_FROM_POD);
	return drop_plain(skb, NULL, REASON_MISSED_TAIL_CALL, DIRECTION_EGRESS, PLACE(FILE_STUB));
}

SEC("tc")
int stub_to_pod(struct __sk_buff *skb)
{
	bpf_tail_call_static(skb, &sn_progs_03, SLOT_TO_POD);
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
	bpf_tail_call_static(skb, &sn_progs_03, SLOT_FROM_NETDEV);
	return missed_at_uplink(skb, DIRECTION_INGRESS);
}

SEC("tc")
int stub_to_netdev(struct __sk_buff *skb)
{
	bpf_tail_call_static(skb, &sn_progs_03, SLOT_TO_NETDEV);
	return missed_at_uplink(skb, DIRECTION_EGRESS);
}
