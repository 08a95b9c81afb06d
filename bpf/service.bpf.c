// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Services, packet by packet: what the socket layer does not see. Tail-called by
 * the programs at pods and uplinks (pod.bpf.c), so that their own way stays short.
 *
 *   service_pod, service_netdev   a packet to a frontend becomes one to a backend,
 *                  and the hook's program judges that: policy on the backend, with
 *                  the client's own address. A pod that is its own backend is sent
 *                  to itself, from a loopback address.
 *   source_nat     what was judged and goes to a backend elsewhere leaves from this
 *                  node, so that its answer comes back here.
 *   masquerade     what a pod sends to the world leaves from this node, too: at the pod's
 *                  veth, or at the uplink what the stack carried there.
 *   answer, answer_here           an answer gets its frontend back.
 *   through        what goes on of a flow that both of them have translated, in one step.
 *   error_…                       so does an ICMP error, outside and in.
 *   direct         a packet to a backend elsewhere that answers its client itself, with the frontend in it.
 *   direct_here    what another node sent so: the frontend is taken out of it, kept for the answers, and the pod's policy asked.
 *   too_long       what has no room for that: its client learns what fits.
 *   unreachable    a datagram to a frontend that nobody serves is answered: port unreachable.
 */
#include "lib/direct.h"
#include "lib/flows.h"
#include "lib/forward.h"
#include "lib/nat.h"
#include "lib/sample.h"
#include "lib/through.h"
#include "lib/unreachable.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Another backend where this one's answers would be another translation's. */
#define DRAW_TRIES 3

static __always_inline int read_packet(struct __sk_buff *skb, struct packet *packet)
{
	packet->v6 = skb->protocol == bpf_htons(ETH_P_IPV6);
	return parse_ip(skb, packet, ETH_HLEN, false);
}

static __always_inline bool is_syn(const struct tuple *tuple)
{
	return tuple->protocol == IPPROTO_TCP && (tuple->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/* Of a stream that is answered directly only the client's side is seen here: closed once that is. Its last packets may still be answered so long. */
#define CT_DIRECT_CLOSING 112		/* 120 s */

static __always_inline bool direct_closed(__u8 flags)
{
	return flags & (CT_RESET | CT_CLOSING_BOTH);
}

/* tuple_of - what packets become. */
static __always_inline void tuple_of(const struct nat_entry *entry, __u8 protocol, struct tuple *tuple)
{
	__builtin_memset(tuple, 0, sizeof(*tuple));
	__builtin_memcpy(&tuple->source, entry->source, 16);
	__builtin_memcpy(&tuple->destination, entry->destination, 16);
	tuple->source_port = entry->source_port;
	tuple->destination_port = entry->destination_port;
	tuple->protocol = protocol;
}

/*
 * nat_is_over - what stands is not for this packet: it begins a new connection after the former has ended, or its
 * backend is gone, and no stream would break. A global function, for the stack that the entry takes.
 */
__noinline int nat_is_over(const struct tuple *tuple, const struct nat_entry *forward)
{
	struct ct_key key __attribute__((aligned(8)));
	struct ct_entry entry;
	struct tuple judged;
	__u32 backend;

	if (!tuple || !forward)
		return 0;
	if (tuple->protocol == IPPROTO_TCP && !is_syn(tuple))
		return 0;
	backend = forward->backend;
	if (backend && !bpf_map_lookup_elem(&sn_backend_01, &backend))
		return 1;
	if (tuple->protocol != IPPROTO_TCP)
		return 0;
	tuple_of(forward, tuple->protocol, &judged);
	ct_key_of(&judged, &key);
	if (!ct_read(&key, &entry, ct_now()))
		return 1;
	return forward->flags & NAT_DIRECT ? direct_closed(entry.flags) : ct_closed(entry.flags);
}

/*
 * nat_clear - what packets would become is another translation's, of a connection that has ended: both its halves go.
 * A client may ask two Services from one port, and both may have one backend. A global function, for the stack. Return: whether they went.
 */
__noinline int nat_clear(const struct tuple *tuple, const struct nat_entry *forward)
{
	struct nat_entry standing;
	struct nat_key back, begin;

	if (!tuple || !forward || tuple->protocol != IPPROTO_TCP || !nat_is_over(tuple, forward))
		return 0;
	nat_key_reverse(forward, tuple->protocol, &back);
	if (!nat_read(&back, &standing) || (standing.flags & (NAT_FORWARD | NAT_SOURCE)))
		return 0;
	nat_key_reverse(&standing, tuple->protocol, &begin);
	bpf_map_delete_elem(&sn_nat_01, &begin);
	bpf_map_delete_elem(&sn_nat_01, &back);
	return 1;
}

/* client_hash - the same client and port draw the same. */
static __always_inline __u32 client_hash(const struct address *client, __be16 port)
{
	__u32 words[5];

	__builtin_memcpy(words, client, 16);
	words[4] = port;
	return echo_of(words, sizeof(words));
}

static __always_inline bool in_range(const struct frontend *frontend, const struct address *client)
{
	struct source_range_key key = { .prefix_length = 32 + 128, .revnat = frontend->revnat };

	__builtin_memcpy(key.address, client, 16);
	return bpf_map_lookup_elem(&sn_srange_01, &key);
}

/* answers_itself - who comes from the world to a pod elsewhere is answered by that pod. A global function, for the stack. */
__noinline int answers_itself(const struct address *client, const struct address *backend)
{
	struct party party = {};

	if (!client || !backend || ipcache_read(client, &party))
		return 0;
	party_find(backend, &party);
	return party.named == NAMED_POD && !party.ifindex;
}

/*
 * service_choose - a backend for a packet to a frontend. A global function, for the stack.
 * @random: for the draw; @again: how often one was chosen for this packet before. Return: 0 with @forward filled, or the drop reason.
 */
__noinline int service_choose(const struct tuple *tuple, __u8 scope, __u32 random, __u32 again, struct nat_entry *forward)
{
	struct frontend_key key = {};
	struct frontend frontend = {};
	struct choice choice = {};
	struct address source;
	__u32 draw;

	if (!tuple || !forward)
		return REASON_NO_BACKEND;
	source = tuple->source;
	key.port = tuple->destination_port;
	key.protocol = tuple->protocol;
	key.scope = scope;
	__builtin_memcpy(key.address, &tuple->destination, 16);
	if (!frontend_find(&key, &frontend))
		return REASON_NO_BACKEND;
	if ((frontend.flags & FRONTEND_RANGES) && !in_range(&frontend, &source))
		return REASON_NOT_IN_RANGE;
	draw = frontend.flags & FRONTEND_HASHED ? client_hash(&source, tuple->source_port) : random;
	if (!backend_draw(&key, &frontend, &source, draw + again, &choice))
		return REASON_NO_BACKEND;
	if (tuple->protocol == IPPROTO_SCTP && choice.port != tuple->destination_port)
		return REASON_UNSUPPORTED_PROTOCOL;
	if (address_equal(&choice.address, &source))
		loopback_source(&source);
	__builtin_memcpy(forward->source, &source, 16);
	__builtin_memcpy(forward->destination, &choice.address, 16);
	forward->source_port = tuple->source_port;
	forward->destination_port = choice.port;
	forward->backend = choice.id;
	forward->revnat = frontend.revnat;
	forward->flags = NAT_FORWARD;
	if (scope == SCOPE_OUTSIDE && (frontend.flags & FRONTEND_DIRECT) && answers_itself(&source, &choice.address))
		forward->flags |= NAT_DIRECT;
	forward->made = ct_now();
	return 0;
}

/* service_place - a backend whose answers nobody else's translation has, and both halves. Return: 0, or the drop reason. */
static __always_inline int service_place(const struct tuple *tuple, const struct nat_key *key, __u8 scope, struct nat_entry *forward)
{
	__u32 random = bpf_get_prandom_u32();
	int reason = REASON_NO_MAPPING;

#pragma clang loop unroll(disable)
	for (__u32 again = 0; reason == REASON_NO_MAPPING && again < DRAW_TRIES; again++) {
		reason = service_choose(tuple, scope, random, again, forward) ?: nat_put(key, forward);
		if (reason == REASON_NO_MAPPING && nat_clear(tuple, forward))
			reason = nat_put(key, forward);
	}
	if (!reason)
		count_flow(forward->revnat);
	return reason;
}

/* turn_round - what has become an answer goes back to whom it is from. @at_pod: into the pod, else out of the uplink. */
static __always_inline int turn_round(struct __sk_buff *skb, bool at_pod)
{
	static const __u8 host_mac[6] = HOST_MAC;
	__u8 macs[12];

	if (bpf_skb_load_bytes(skb, 0, macs, sizeof(macs)) || bpf_skb_store_bytes(skb, 0, macs + 6, 6, 0) ||
	    bpf_skb_store_bytes(skb, 6, at_pod ? host_mac : macs, 6, 0))
		return TC_ACT_SHOT;
	if (at_pod) {
		skb->mark = 0;
		return bpf_redirect_peer(skb->ifindex, 0);
	}
	skb->mark = MARK_JUDGED;
	return bpf_redirect(skb->ifindex, 0);
}

/*
 * refuse - nobody serves: the client learns it at once. A TCP packet turns round as a reset, its checksum kept by the
 * helpers; what is for the node's own address is refused by its stack, where nobody listens. A global function, for the stack.
 */
__noinline int refuse(struct __sk_buff *skb, const struct packet *packet, bool at_pod)
{
	const struct tuple *tuple;
	__be32 before[3], after[3] = {};
	struct party party = {};
	__be16 ports[2];
	__u32 check;
	__s64 sum;

	if (!packet)
		return TC_ACT_SHOT;
	tuple = &packet->tuple;
	check = packet->l4_offset + __builtin_offsetof(struct tcphdr, check);
	ports[0] = tuple->destination_port;
	ports[1] = tuple->source_port;
	if (tuple->protocol != IPPROTO_TCP || packet->fragment != WHOLE)
		return ipcache_read(&tuple->destination, &party) && party.ifindex == IFINDEX_HOST ? TC_ACT_OK : TC_ACT_SHOT;
	if (tuple->tcp_flags & TCP_RST)
		return TC_ACT_SHOT;
	/* sequence, acknowledgement, offset with flags and window */
	if (bpf_skb_load_bytes(skb, packet->l4_offset + 4, before, sizeof(before)))
		return TC_ACT_SHOT;
	after[2] = (before[2] & bpf_htonl(0xf0000000)) | bpf_htonl(TCP_RST << 16);
	if (tuple->tcp_flags & TCP_ACK) {
		after[0] = before[1];
	} else {
		__u32 header = (bpf_ntohl(before[2]) >> 28) * 4;
		__u32 data = skb->len - packet->l4_offset - header;

		after[1] = bpf_htonl(bpf_ntohl(before[0]) + data + !!(tuple->tcp_flags & TCP_SYN) + !!(tuple->tcp_flags & TCP_FIN));
		after[2] |= bpf_htonl(TCP_ACK << 16);
	}
	sum = bpf_csum_diff(before, sizeof(before), after, sizeof(after), 0);
	if (sum < 0 || bpf_l4_csum_replace(skb, check, 0, sum, 0) ||
	    bpf_skb_store_bytes(skb, packet->l4_offset + 4, after, sizeof(after), 0) ||
	    bpf_skb_store_bytes(skb, packet->l4_offset, ports, sizeof(ports), 0))
		return TC_ACT_SHOT;
	/* Both sides change places: no sum changes. */
	if (packet->v6) {
		if (bpf_skb_store_bytes(skb, ETH_HLEN + __builtin_offsetof(struct ipv6hdr, saddr), &tuple->destination, 16, 0) ||
		    bpf_skb_store_bytes(skb, ETH_HLEN + __builtin_offsetof(struct ipv6hdr, daddr), &tuple->source, 16, 0))
			return TC_ACT_SHOT;
	} else {
		__be32 sides[2] = { tuple->destination.low >> 32, tuple->source.low >> 32 };

		if (bpf_skb_store_bytes(skb, ETH_HLEN + __builtin_offsetof(struct iphdr, saddr), sides, sizeof(sides), 0))
			return TC_ACT_SHOT;
	}
	return turn_round(skb, at_pod);
}

/* What nobody serves, of UDP. The node's own addresses are its stack's to refuse. */
SEC("tc")
int unreachable(struct __sk_buff *skb)
{
	struct packet packet = {};
	struct party party = {};
	bool at_pod;

	if (read_packet(skb, &packet))
		return TC_ACT_SHOT;
	if (ipcache_read(&packet.tuple.destination, &party) && party.ifindex == IFINDEX_HOST)
		return TC_ACT_OK;
	/* Whoever called has seen that a pod speaks with its own address, and nobody from outside with a pod's. */
	at_pod = endpoint_read(&packet.tuple.source, &party);
	if (packet.fragment == LATER_FRAGMENT || address_is_nobody(&packet.tuple.source) || !refusal_allowed() || unreachable_make(skb, &packet, 0))
		return TC_ACT_SHOT;
	return turn_round(skb, at_pod);
}

/* loopback_touch - the flow of a pod with itself has an entry, so that its translation lives as long. Return: 0, or an error. */
__noinline int loopback_touch(const struct tuple *flow)
{
	struct ct_key key __attribute__((aligned(8)));
	struct ct_entry entry;
	struct ct_entry *live;
	bool source_is_a;

	if (!flow)
		return 0;
	source_is_a = ct_key_of(flow, &key);
	live = ct_read(&key, &entry, ct_now());
	if (live) {
		ct_touch(live, &entry, source_is_a, flow, ct_now());
		return 0;
	}
	__builtin_memset(&entry, 0, sizeof(entry));
	entry.flags = ct_flags_after((source_is_a ? CT_ORIGINATOR_A : 0) | CT_TRANSLATED, source_is_a, flow->tcp_flags);
	entry.expiry = ct_now() + ct_lifetime(flow->protocol, entry.flags);
	return ct_store(&key, &entry);
}

/* own_loopback - a pod speaks with itself: nobody asks. @flow: as the pod sees it */
static __always_inline int own_loopback(struct __sk_buff *skb, struct packet *packet, const struct tuple *flow)
{
	struct party party;
	int verdict;

	if (loopback_touch(flow))
		return drop_plain(skb, &packet->tuple, REASON_MAP_INSERT, DIRECTION_EGRESS, PLACE(FILE_SERVICE));
	if (!endpoint_read(&packet->tuple.destination, &party) || party.ifindex != skb->ifindex)
		return drop_plain(skb, &packet->tuple, REASON_STALE_IP, DIRECTION_EGRESS, PLACE(FILE_SERVICE));
	count(REASON_NONE, DIRECTION_EGRESS, skb->len);
	verdict = to_local(skb, packet, party.ifindex, party.mac);
	return verdict < 0 ? drop_plain(skb, &packet->tuple, REASON_WRITE_ERROR, DIRECTION_EGRESS, PLACE(FILE_FORWARD)) : verdict;
}

/*
 * hook_again - the hook's own program takes what the packet has become.
 * @flags: of the half that it became so by. Return: only where that program is missing: dropped.
 */
static __always_inline int hook_again(struct __sk_buff *skb, const struct packet *packet, bool at_pod, __u32 flags)
{
	struct party party;

	if (at_pod)
		bpf_tail_call_static(skb, &sn_progs_03, SLOT_POD_TRANSLATED);
	else if ((flags & NAT_FORWARD) || endpoint_read(&packet->tuple.destination, &party))
		bpf_tail_call_static(skb, &sn_progs_03, SLOT_NETDEV_TRANSLATED);
	else
		bpf_tail_call_static(skb, &sn_progs_03, SLOT_NETDEV_ANSWER);
	return drop_plain(skb, &packet->tuple, REASON_MISSED_TAIL_CALL, at_pod ? DIRECTION_EGRESS : DIRECTION_INGRESS, PLACE(FILE_SERVICE));
}

/*
 * service - the packet's translation, standing or chosen now; then judged as what it has become.
 * @at_pod: at a pod's veth, where the caller has seen that the source is the pod's own; else at an uplink
 */
static __always_inline int service(struct __sk_buff *skb, bool at_pod)
{
	__u8 direction = at_pod ? DIRECTION_EGRESS : DIRECTION_INGRESS;
	struct packet packet = {};
	struct nat_entry entry = {};
	struct nat_key key;
	struct party party;
	bool stands;
	int reason;

	reason = read_packet(skb, &packet);
	if (reason)
		return drop_plain(skb, &packet.tuple, reason, direction, PLACE(FILE_PACKET));
	if (!at_pod && endpoint_read(&packet.tuple.source, &party))
		return drop_plain(skb, &packet.tuple, REASON_INVALID_SOURCE_IP, direction, PLACE(FILE_SERVICE));
	nat_key_of(&packet.tuple, &key);
	stands = nat_read(&key, &entry);
	if (stands && (entry.flags & (NAT_FORWARD | NAT_SOURCE)) == NAT_FORWARD && nat_is_over(&packet.tuple, &entry)) {
		nat_delete(&key, &entry);
		stands = false;
	}
	if (!stands) {
		if (is_loopback_source(&packet.tuple.destination))
			return drop_plain(skb, &packet.tuple, REASON_NO_MAPPING, direction, PLACE(FILE_SERVICE));
		reason = service_place(&packet.tuple, &key, at_pod ? SCOPE_INSIDE : SCOPE_OUTSIDE, &entry);
		if (reason) {
			drop_plain(skb, &packet.tuple, reason, direction, PLACE(FILE_SERVICE));
			if (reason != REASON_NO_BACKEND)
				return TC_ACT_SHOT;
			if (packet.tuple.protocol != IPPROTO_UDP)
				return refuse(skb, &packet, at_pod);
			bpf_tail_call_static(skb, &sn_progs_03, SLOT_UNREACHABLE);
			return TC_ACT_SHOT;
		}
	}
	if ((entry.flags & (NAT_FORWARD | NAT_DIRECT)) == (NAT_FORWARD | NAT_DIRECT)) {
		bpf_tail_call_static(skb, &sn_progs_03, SLOT_DIRECT);
		return drop_plain(skb, &packet.tuple, REASON_MISSED_TAIL_CALL, direction, PLACE(FILE_SERVICE));
	}
	if (nat_apply(skb, &packet, &entry))
		return drop_plain(skb, &packet.tuple, REASON_WRITE_ERROR, direction, PLACE(FILE_SERVICE));
	if (at_pod) {
		struct tuple flow = packet.tuple;

		if (is_loopback_source(&packet.tuple.source))
			return own_loopback(skb, &packet, &flow);
		if (!(entry.flags & NAT_FORWARD)) {
			/* The answer to that: the flow is the one before it was translated back. */
			__builtin_memcpy(&flow.source, key.source, 16);
			__builtin_memcpy(&flow.destination, key.destination, 16);
			flow.source_port = key.source_port;
			flow.destination_port = key.destination_port;
			return own_loopback(skb, &packet, &flow);
		}
	}
	return hook_again(skb, &packet, at_pod, entry.flags);
}

SEC("tc")
int service_pod(struct __sk_buff *skb)
{
	return service(skb, true);
}

SEC("tc")
int service_netdev(struct __sk_buff *skb)
{
	return service(skb, false);
}

/* go_on - to a pod here, out of an uplink, or up the stack. */
static __always_inline int go_on(struct __sk_buff *skb, const struct packet *packet)
{
	struct party party;
	int verdict;

	count(REASON_NONE, DIRECTION_EGRESS, skb->len);
	if (endpoint_read(&packet->tuple.destination, &party))
		verdict = to_local(skb, packet, party.ifindex, party.mac);
	else
		verdict = to_uplink(skb, packet);
	return verdict < 0 ? drop_plain(skb, &packet->tuple, REASON_WRITE_ERROR, DIRECTION_EGRESS, PLACE(FILE_FORWARD)) : verdict;
}

/* An answer whose translation is gone goes on as it is: its client knows no such flow, and says so. */
static __always_inline int answer_of(struct __sk_buff *skb, bool here)
{
	struct packet packet = {};
	struct nat_entry entry;
	struct nat_key key;
	int reason;

	reason = read_packet(skb, &packet);
	if (reason)
		return drop_plain(skb, &packet.tuple, reason, DIRECTION_EGRESS, PLACE(FILE_PACKET));
	nat_key_of(&packet.tuple, &key);
	if (packet.icmp_error) {
		bpf_tail_call_static(skb, &sn_progs_03, here ? SLOT_ERROR_HERE : SLOT_ERROR_ON);
		return drop_plain(skb, &packet.tuple, REASON_MISSED_TAIL_CALL, DIRECTION_EGRESS, PLACE(FILE_SERVICE));
	}
	if (nat_read(&key, &entry) && !(entry.flags & NAT_FORWARD) && nat_apply(skb, &packet, &entry))
		return drop_plain(skb, &packet.tuple, REASON_WRITE_ERROR, DIRECTION_EGRESS, PLACE(FILE_SERVICE));
	if (!here)
		return go_on(skb, &packet);
	count(REASON_NONE, DIRECTION_INGRESS, skb->len);
	return TC_ACT_OK;
}

SEC("tc")
int answer(struct __sk_buff *skb)
{
	return answer_of(skb, false);
}

SEC("tc")
int answer_here(struct __sk_buff *skb)
{
	return answer_of(skb, true);
}

/*
 * snat_choose - a source port of this node that no other flow to this destination has, and both halves.
 * @key: of the packets as they are; @first, @last: the ports to choose from
 * A global function, for the stack. Return: 0 with @forward filled, or the drop reason.
 */
__noinline int snat_choose(const struct nat_key *key, bool v6, __u16 first, __u16 last, struct nat_entry *forward)
{
	__u32 family = v6, draw = bpf_get_prandom_u32(), ports = last - first + 1;
	struct self *self = bpf_map_lookup_elem(&sn_self_01, &family);
	int reason = REASON_NO_MAPPING;
	struct address source;

	if (!key || !forward || !self)
		return REASON_NO_MAPPING;
	if (key->protocol == IPPROTO_SCTP || !check_offset(key->protocol))
		return REASON_UNSUPPORTED_PROTOCOL;
	__builtin_memcpy(forward->source, self->address, 16);
	__builtin_memcpy(&source, self->address, 16);
	if (!source.high && !source.low)
		return REASON_NO_MAPPING;
	__builtin_memcpy(forward->destination, key->destination, 16);
	forward->destination_port = key->destination_port;
	forward->flags = NAT_FORWARD | NAT_SOURCE;
	forward->made = ct_now();
#pragma clang loop unroll(disable)
	for (__u32 try = 0; reason == REASON_NO_MAPPING && try < NAT_PORT_TRIES; try++) {
		forward->source_port = bpf_htons(first + (draw + try * 61) % ports);
		if (key->protocol == IPPROTO_ICMP || key->protocol == IPPROTO_ICMPV6)
			forward->destination_port = forward->source_port;
		reason = nat_put(key, forward);
	}
	return reason;
}

/*
 * snat_apply - this node's address and a port of it, the flow's or one from those, for the packet's source. Who begins on the
 * ports of a flow to a Service that is gone meanwhile is refused until that translation is collected. Return: 0, or the drop reason.
 */
static __always_inline int snat_apply(struct __sk_buff *skb, struct packet *packet, __u16 first, __u16 last)
{
	struct nat_entry entry = {};
	struct nat_key key;
	int reason;

	nat_key_of(&packet->tuple, &key);
	if (nat_read(&key, &entry)) {
		if (!nat_is_source(&entry))
			return REASON_NO_MAPPING;
	} else {
		reason = snat_choose(&key, packet->v6, first, last, &entry);
		if (reason)
			return reason;
	}
	return nat_apply(skb, packet, &entry) ? REASON_WRITE_ERROR : REASON_NONE;
}

SEC("tc")
int source_nat(struct __sk_buff *skb)
{
	struct packet packet = {};
	int reason, verdict;

	reason = read_packet(skb, &packet);
	if (reason)
		return drop_plain(skb, &packet.tuple, reason, DIRECTION_INGRESS, PLACE(FILE_PACKET));
	if (packet.icmp_error) {
		bpf_tail_call_static(skb, &sn_progs_03, SLOT_ERROR_ON);
		return drop_plain(skb, &packet.tuple, REASON_MISSED_TAIL_CALL, DIRECTION_INGRESS, PLACE(FILE_SERVICE));
	}
	reason = snat_apply(skb, &packet, SNAT_PORT_FIRST, SNAT_PORT_LAST);
	if (reason)
		return drop_plain(skb, &packet.tuple, reason, DIRECTION_INGRESS, PLACE(FILE_SERVICE));
	count(REASON_NONE, DIRECTION_INGRESS, skb->len);
	verdict = to_uplink(skb, &packet);
	return verdict < 0 ? drop_plain(skb, &packet.tuple, REASON_WRITE_ERROR, DIRECTION_INGRESS, PLACE(FILE_FORWARD)) : verdict;
}

/*
 * What a pod sends to the world, its errors about answers too. What the stack must carry goes up as the pod sent it, marked, so that the stack's errors are
 * about what the pod knows and its own address comes from nowhere but itself; it becomes the node's where it leaves.
 */
SEC("tc")
int masquerade(struct __sk_buff *skb)
{
	bool at_uplink = skb->mark & MARK_MASQUERADE;
	struct bpf_redir_neigh next = {};
	struct packet packet = {};
	__u32 ifindex = 0;
	int reason, verdict;

	reason = read_packet(skb, &packet);
	if (reason)
		return drop_plain(skb, &packet.tuple, reason, DIRECTION_EGRESS, PLACE(FILE_PACKET));
	if (packet.icmp_error) {
		bpf_tail_call_static(skb, &sn_progs_03, SLOT_ERROR_ON);
		return drop_plain(skb, &packet.tuple, REASON_MISSED_TAIL_CALL, DIRECTION_EGRESS, PLACE(FILE_SERVICE));
	}
	if (!at_uplink) {
		ifindex = uplink_of(skb, &packet, &next);
		if (!ifindex) {
			count(REASON_NONE, DIRECTION_EGRESS, skb->len);
			skb->mark |= MARK_MASQUERADE;
			return TC_ACT_OK;
		}
	}
	/* What has no port to tell its answer by. */
	if (packet.icmp_other && !packet.icmp_echo)
		reason = REASON_UNSUPPORTED_PROTOCOL;
	else
		reason = snat_apply(skb, &packet, MASQUERADE_PORT_FIRST, MASQUERADE_PORT_LAST);
	if (reason)
		return drop_plain(skb, &packet.tuple, reason, DIRECTION_EGRESS, PLACE(FILE_SERVICE));
	if (at_uplink) {
		skb->mark &= ~MARK_MASQUERADE;
		return TC_ACT_OK;
	}
	count(REASON_NONE, DIRECTION_EGRESS, skb->len);
	verdict = by_uplink(skb, &packet, ifindex, &next);
	return verdict < 0 ? drop_plain(skb, &packet.tuple, REASON_WRITE_ERROR, DIRECTION_EGRESS, PLACE(FILE_FORWARD)) : verdict;
}

/*
 * error_of - an ICMP error about a translated packet, translated as what would answer that; at a pod and an uplink the
 * hook's own program then looks whether its flow lives. @slot: where it was called from
 */
static __always_inline int error_of(struct __sk_buff *skb, const __u32 slot)
{
	__u8 direction = slot == SLOT_ERROR_NETDEV || slot == SLOT_ERROR_HERE ? DIRECTION_INGRESS : DIRECTION_EGRESS;
	struct packet packet = {};
	int reason, flags;

	reason = read_packet(skb, &packet);
	if (reason)
		return drop_plain(skb, &packet.tuple, reason, direction, PLACE(FILE_PACKET));
	flags = nat_error(skb, &packet);
	if (flags < 0)
		return drop_plain(skb, &packet.tuple, REASON_NO_MAPPING, direction, PLACE(FILE_SERVICE));
	/* About an answer that never came by here: its flow is the backend's node's to look for. */
	if (slot == SLOT_ERROR_ON || (slot == SLOT_ERROR_NETDEV && (flags & NAT_DIRECT)))
		return go_on(skb, &packet);
	if (slot == SLOT_ERROR_HERE) {
		count(REASON_NONE, direction, skb->len);
		return TC_ACT_OK;
	}
	return hook_again(skb, &packet, slot == SLOT_ERROR_POD, flags);
}

SEC("tc")
int error_pod(struct __sk_buff *skb)
{
	return error_of(skb, SLOT_ERROR_POD);
}

SEC("tc")
int error_netdev(struct __sk_buff *skb)
{
	return error_of(skb, SLOT_ERROR_NETDEV);
}

SEC("tc")
int error_on(struct __sk_buff *skb)
{
	return error_of(skb, SLOT_ERROR_ON);
}

SEC("tc")
int error_here(struct __sk_buff *skb)
{
	return error_of(skb, SLOT_ERROR_HERE);
}

/*
 * direct_touch - a packet of a flow that is answered directly went by. Answers are not seen here: what goes on after its first packet is
 * taken as answered. A global function, for the stack. Return: 1 where its entry changed, once a second at least while it goes on; 0; or -1: no room.
 */
__noinline int direct_touch(const struct tuple *flow)
{
	struct ct_key key __attribute__((aligned(8)));
	__u32 now = ct_now(), expiry;
	struct ct_entry entry;
	bool source_is_a, live;
	__u8 flags;

	if (!flow)
		return -1;
	source_is_a = ct_key_of(flow, &key);
	live = ct_read(&key, &entry, now);
	if (!live || (is_syn(flow) && direct_closed(entry.flags))) {
		__builtin_memset(&entry, 0, sizeof(entry));
		flags = CT_TRANSLATED | (source_is_a ? CT_ORIGINATOR_A : 0);
	} else {
		flags = entry.flags | (is_syn(flow) ? 0 : CT_SEEN_BOTH);
	}
	flags = ct_flags_after(flags, source_is_a, flow->tcp_flags);
	expiry = now + (!(flags & CT_RESET) && (flags & CT_CLOSING_BOTH) ? CT_DIRECT_CLOSING : ct_lifetime(flow->protocol, flags));
	if (live && flags == entry.flags && expiry == entry.expiry)
		return 0;
	entry.flags = flags;
	entry.expiry = expiry;
	return ct_store(&key, &entry) ? -1 : 1;
}

/*
 * A packet of the world's to a pod elsewhere. What it asked for goes with it where the pod's node may not know it: with each that begins a stream,
 * each that is of none, and now and then, should that node have forgotten.
 */
SEC("tc")
int direct(struct __sk_buff *skb)
{
	struct bpf_redir_neigh next = {};
	struct packet packet = {};
	struct nat_entry entry;
	struct address frontend;
	__u32 ifindex, more, mtu = 0;
	struct nat_key key;
	int reason, verdict, changed;
	bool must;

	reason = read_packet(skb, &packet);
	if (reason)
		return drop_plain(skb, &packet.tuple, reason, DIRECTION_INGRESS, PLACE(FILE_PACKET));
	nat_key_of(&packet.tuple, &key);
	if (!nat_read(&key, &entry))
		return drop_plain(skb, &packet.tuple, REASON_NO_MAPPING, DIRECTION_INGRESS, PLACE(FILE_SERVICE));
	must = packet.fragment != LATER_FRAGMENT && (packet.tuple.protocol != IPPROTO_TCP || is_syn(&packet.tuple));
	/* The way is the backend's. */
	frontend = packet.tuple.destination;
	__builtin_memcpy(&packet.tuple.destination, entry.destination, 16);
	packet.tuple.destination_port = entry.destination_port;
	changed = direct_touch(&packet.tuple);
	if (changed < 0)
		return drop_plain(skb, &packet.tuple, REASON_MAP_INSERT, DIRECTION_INGRESS, PLACE(FILE_SERVICE));
	more = must || (changed && packet.fragment == WHOLE && !skb->gso_size) ? direct_size(&packet) : 0;
	ifindex = uplink_for(skb, &packet, more, &next, &mtu);
	if (!ifindex && mtu && more && !must) {
		more = 0;
		ifindex = uplink_for(skb, &packet, 0, &next, &mtu);
	}
	packet.tuple.destination = frontend;
	packet.tuple.destination_port = key.destination_port;
	if (!ifindex && mtu > more) {
		drop_plain(skb, &packet.tuple, REASON_FRAGMENTATION_NEEDED, DIRECTION_INGRESS, PLACE(FILE_SERVICE));
		skb->cb[0] = mtu - more;
		bpf_tail_call_static(skb, &sn_progs_03, SLOT_TOO_LONG);
		return TC_ACT_SHOT;
	}
	if (nat_apply(skb, &packet, &entry) || (more && direct_push(skb, packet.v6, &frontend, key.destination_port)))
		return drop_plain(skb, &packet.tuple, REASON_WRITE_ERROR, DIRECTION_INGRESS, PLACE(FILE_SERVICE));
	count(REASON_NONE, DIRECTION_INGRESS, skb->len);
	verdict = ifindex ? by_uplink(skb, &packet, ifindex, &next) : TC_ACT_OK;
	return verdict < 0 ? drop_plain(skb, &packet.tuple, REASON_WRITE_ERROR, DIRECTION_INGRESS, PLACE(FILE_FORWARD)) : verdict;
}

/* Its sender is somebody outside: `direct` has seen that. */
SEC("tc")
int too_long(struct __sk_buff *skb)
{
	struct packet packet = {};

	if (read_packet(skb, &packet) || packet.fragment == LATER_FRAGMENT || address_is_nobody(&packet.tuple.source) || !refusal_allowed() ||
	    unreachable_make(skb, &packet, skb->cb[0]))
		return TC_ACT_SHOT;
	return turn_round(skb, false);
}

/* direct_find - whether the backend may answer for the frontend. @key: of a node port gets the unspecified address. Return: the row's word and flags. */
static __always_inline bool direct_find(const struct direct_key *key, struct direct *copy)
{
	__u32 echo = echo_of(key, sizeof(*key));

#pragma unroll
	for (int try = 0; try < ECHO_TRIES; try++) {
		struct direct *value = bpf_map_lookup_elem(&sn_direct_01, key);
		__u64 word;

		if (!value)
			continue;
		word = READ_ONCE64(*value);
		barrier();
		copy->flags = value->flags;
		barrier();
		if (READ_ONCE64(*value) == word && word_of(word, echo, &copy->revnat))
			return true;
	}
	return false;
}

/* direct_allowed - some Service has the frontend, the tuple's destination serves it, and the client may use it. A global function, for the stack. Return: 0 with @revnat, or the drop reason. */
__noinline int direct_allowed(const struct tuple *tuple, const struct address *frontend, __be16 port, __u32 *revnat)
{
	struct frontend range = {};
	struct direct_key key = {};
	struct direct found = {};
	struct party party = {};

	if (!tuple || !frontend || !revnat)
		return REASON_NO_BACKEND;
	__builtin_memcpy(key.frontend, frontend, 16);
	__builtin_memcpy(key.backend, &tuple->destination, 16);
	key.frontend_port = port;
	key.backend_port = tuple->destination_port;
	key.protocol = tuple->protocol;
	if (!direct_find(&key, &found)) {
		__builtin_memset(key.frontend, 0, 16);
		if (address_is_v4(frontend)) {
			key.frontend[10] = 0xff;
			key.frontend[11] = 0xff;
		}
		if (!direct_find(&key, &found) || !ipcache_read(frontend, &party) || party.named != NAMED_NODE)
			return REASON_NO_BACKEND;
	}
	*revnat = found.revnat;
	range.revnat = found.revnat;
	return (found.flags & FRONTEND_RANGES) && !in_range(&range, &tuple->source) ? REASON_NOT_IN_RANGE : 0;
}

/* direct_flow_is_over - the flow that has this tuple has ended, or is not known. A global function, for the stack. */
__noinline int direct_flow_is_over(const struct tuple *tuple)
{
	struct ct_key key __attribute__((aligned(8)));
	struct ct_entry entry;

	if (!tuple)
		return 0;
	ct_key_of(tuple, &key);
	return !ct_read(&key, &entry, ct_now()) || (is_syn(tuple) && ct_closed(entry.flags));
}

/* direct_gives_way - the flow that @former translates is over, or its pod serves no more and the packet may begin anew. A global function, for the stack. */
__noinline int direct_gives_way(const struct nat_entry *former, const struct tuple *tuple, const struct address *frontend, __be16 port)
{
	struct tuple judged;
	__u32 revnat = 0;

	if (!former || !tuple || !frontend)
		return 0;
	tuple_of(former, tuple->protocol, &judged);
	judged.tcp_flags = tuple->tcp_flags;
	if (direct_flow_is_over(&judged))
		return 1;
	return (tuple->protocol != IPPROTO_TCP || is_syn(tuple)) && direct_allowed(&judged, frontend, port, &revnat) == REASON_NO_BACKEND;
}

/*
 * direct_place - both halves, as if this node had been asked for the frontend: answers get it back. A pair that stands was looked at when it was made.
 * What another frontend's live flow has stays its own: a forged packet takes nobody's answers away.
 * A global function, for the stack. Return: 0, or the drop reason.
 */
__noinline int direct_place(const struct tuple *tuple, const struct address *frontend, __be16 port)
{
	struct nat_entry entry = {};
	struct nat_key key, back;
	struct address backend;
	__u32 revnat = 0;
	int reason;

	if (!tuple || !frontend)
		return REASON_NO_BACKEND;
	nat_key_of(tuple, &key);
	back = key;
	nat_key_turn(&back);
	__builtin_memcpy(key.destination, frontend, 16);
	key.destination_port = port;
	if (nat_read(&key, &entry)) {
		__builtin_memcpy(&backend, entry.destination, 16);
		if (address_equal(&backend, &tuple->destination) && entry.destination_port == tuple->destination_port &&
		    (entry.flags & (NAT_FORWARD | NAT_SOURCE)) == NAT_FORWARD)
			return 0;
	}
	reason = direct_allowed(tuple, frontend, port, &revnat);
	if (reason)
		return reason;
	if (nat_read(&key, &entry)) {
		if (!(entry.flags & NAT_FORWARD) || !direct_gives_way(&entry, tuple, frontend, port))
			return REASON_NO_MAPPING;
		nat_delete(&key, &entry);
	}
	if (nat_read(&back, &entry)) {
		if ((entry.flags & NAT_FORWARD) || !direct_flow_is_over(tuple))
			return REASON_NO_MAPPING;
		nat_delete(&back, &entry);
	}
	__builtin_memset(&entry, 0, sizeof(entry));
	__builtin_memcpy(entry.source, &tuple->source, 16);
	__builtin_memcpy(entry.destination, &tuple->destination, 16);
	entry.source_port = tuple->source_port;
	entry.destination_port = tuple->destination_port;
	entry.revnat = revnat;
	entry.flags = NAT_FORWARD;
	entry.made = ct_now();
	return nat_put(&key, &entry);
}

/* is_asked - somebody asks this node: for a frontend, or itself. A global function, for the stack. */
__noinline int is_asked(const struct tuple *tuple)
{
	struct frontend_key key = {};
	struct frontend frontend = {};
	struct party party = {};

	if (!tuple)
		return 0;
	if (ipcache_read(&tuple->destination, &party) && party.ifindex == IFINDEX_HOST)
		return 1;
	key.port = tuple->destination_port;
	key.protocol = tuple->protocol;
	key.scope = SCOPE_OUTSIDE;
	__builtin_memcpy(key.address, &tuple->destination, 16);
	return frontend_find(&key, &frontend);
}

/*
 * What says which frontend another node was asked for, by whomever it was written: only a frontend that the pod serves counts, and then the
 * pod's policy is asked as it is of whoever comes from outside. Nobody in the cluster is answered so.
 */
SEC("tc")
int direct_here(struct __sk_buff *skb)
{
	struct address frontend = {};
	struct packet packet = {};
	struct party party;
	__be16 port = 0;
	int reason;

	reason = read_packet(skb, &packet);
	if (reason)
		return drop_plain(skb, &packet.tuple, reason, DIRECTION_INGRESS, PLACE(FILE_PACKET));
	if (!endpoint_read(&packet.tuple.destination, &party))
		return is_asked(&packet.tuple) ? drop_plain(skb, &packet.tuple, REASON_NO_BACKEND, DIRECTION_INGRESS, PLACE(FILE_SERVICE)) : TC_ACT_OK;
	party_find(&packet.tuple.source, &party);
	if (party.named)
		return drop_plain(skb, &packet.tuple, REASON_INVALID_SOURCE_IP, DIRECTION_INGRESS, PLACE(FILE_SERVICE));
	if (direct_read(skb, &packet, &frontend, &port))
		return drop_plain(skb, &packet.tuple, REASON_INVALID_PACKET, DIRECTION_INGRESS, PLACE(FILE_PACKET));
	reason = direct_place(&packet.tuple, &frontend, port);
	if (reason)
		return drop_plain(skb, &packet.tuple, reason, DIRECTION_INGRESS, PLACE(FILE_SERVICE));
	if (direct_pop(skb, packet.v6))
		return drop_plain(skb, &packet.tuple, REASON_WRITE_ERROR, DIRECTION_INGRESS, PLACE(FILE_SERVICE));
	bpf_tail_call_static(skb, &sn_progs_03, SLOT_NETDEV_TRANSLATED);
	return drop_plain(skb, &packet.tuple, REASON_MISSED_TAIL_CALL, DIRECTION_INGRESS, PLACE(FILE_SERVICE));
}

/*
 * pass_through - the packet goes through this node by a flow that stands: one step instead of three programs. Return: a verdict, or -1
 * with the packet as it was. What a device has summed up as a whole, or will cut, goes the long way, whose helpers know of that.
 */
static __always_inline int pass_through(struct __sk_buff *skb, const bool v6)
{
	struct bpf_fib_lookup fib = { .ifindex = skb->ifindex };
	void *end = (void *)(long)skb->data_end;
	void *ip = (void *)(long)skb->data + ETH_HLEN;
	struct bpf_redir_neigh next = {};
	struct early early = {};
	struct ct_entry *live;
	struct nat_entry to;
	__u32 expiry, age;
	__u16 *check;
	long found;

	check = through_read(ip, end, &early, v6);
	if (!check || early.length > skb->len - ETH_HLEN || skb->gso_size || bpf_csum_update(skb, 0) >= 0)
		return -1;
	live = through_find(&early, &to, &expiry, &age, v6);
	if (!live)
		return -1;
	found = through_route(skb, &early, &to, &fib, v6);
	if ((found != BPF_FIB_LKUP_RET_SUCCESS && found != BPF_FIB_LKUP_RET_NO_NEIGH) || !bpf_map_lookup_elem(&sn_uplink_01, &fib.ifindex))
		return -1;
	if (age)
		live->expiry = expiry;
	through_write(ip, check, &early, &to, v6);
	next.nh_family = fib.family;
	__builtin_memcpy(next.ipv6_nh, fib.ipv6_dst, 16);
	count(REASON_NONE, to.flags & NAT_FORWARD ? DIRECTION_INGRESS : DIRECTION_EGRESS, skb->len);
	skb->mark = MARK_JUDGED;
	return bpf_redirect_neigh(fib.ifindex, &next, sizeof(next), 0);
}

SEC("tc")
int through(struct __sk_buff *skb)
{
	int verdict = skb->protocol == bpf_htons(ETH_P_IPV6) ? pass_through(skb, true) : pass_through(skb, false);

	if (verdict >= 0)
		return verdict;
	bpf_tail_call_static(skb, &sn_progs_03, SLOT_NETDEV_AGAIN);
	return drop_plain(skb, NULL, REASON_MISSED_TAIL_CALL, DIRECTION_INGRESS, PLACE(FILE_SERVICE));
}
