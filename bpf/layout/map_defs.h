/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The maps themselves. Every object includes this file; the loader makes each
 * map once per node, pins it and hands it to every object by name.
 * KERNEL_WRITTEN marks what the kernel fills: it is no part of desired state.
 */
#pragma once

#include "maps.h"

#define KERNEL_WRITTEN __attribute__((btf_decl_tag("written-by:kernel")))

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct policy_subject_key);
	__type(value, struct policy_subject);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} sn_subject_01 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct policy_peer_key);
	__type(value, struct policy_peer);
	__uint(max_entries, 524288);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} sn_peer_01 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct policy_row_key);
	__type(value, struct policy_row);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} sn_row_01 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u32);		/* bitmap of the prefix lengths that rows of this shape use */
	__uint(max_entries, 256);
} sn_shape_01 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct row_memo);
	__uint(max_entries, 1 << ROW_MEMO_SHIFT);
} sn_rowmemo_01 SEC(".maps") KERNEL_WRITTEN;

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct cidr_key);
	__type(value, __u32);		/* class */
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} sn_class_01 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct address_key);
	__type(value, struct endpoint);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} sn_endpoint_01 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct address_key);
	__type(value, struct ipcache);
	__uint(max_entries, 524288);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} sn_ipcache_01 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct cidr_key);
	__type(value, struct ipcache);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} sn_ipprefix_01 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct ct_key);
	__type(value, struct ct_entry);
	__uint(max_entries, 65536);
} sn_cttcp_01 SEC(".maps") KERNEL_WRITTEN;

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct ct_key);
	__type(value, struct ct_entry);
	__uint(max_entries, 65536);
} sn_ctany_01 SEC(".maps") KERNEL_WRITTEN;

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct fragment_key);
	__type(value, struct fragment);
	__uint(max_entries, 4096);
} sn_fragment_01 SEC(".maps") KERNEL_WRITTEN;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct frontend_key);
	__type(value, struct frontend);
	__uint(max_entries, 131072);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} sn_frontend_02 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct backend_slot_key);
	__type(value, __u32);		/* backend id */
	__uint(max_entries, 524288);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} sn_slot_02 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);		/* backend id */
	__type(value, struct backend);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} sn_backend_01 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct source_range_key);
	__type(value, __u32);		/* 1 */
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} sn_srange_01 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct direct_key);
	__type(value, struct direct);
	__uint(max_entries, 131072);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} sn_direct_01 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct affinity_key);
	__type(value, struct affinity);
	__uint(max_entries, 65536);
} sn_affinity_01 SEC(".maps") KERNEL_WRITTEN;

/* Not LRU: half a translation would be worse than none. What does not fit is a new flow that is dropped and counted. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct nat_key);
	__type(value, struct nat_entry);
	__uint(max_entries, 131072);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} sn_nat_01 SEC(".maps") KERNEL_WRITTEN;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);		/* 0: IPv4, 1: IPv6 */
	__type(value, struct self);
	__uint(max_entries, 2);
} sn_self_01 SEC(".maps");

/* Where pods are known by their own addresses: what they send there is not masqueraded. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct cidr_key);
	__type(value, __u32);		/* 1; 0: not this part of a shorter prefix */
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} sn_nomasq_01 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);		/* cookie of the node's own network namespace, 0 = not known */
	__uint(max_entries, 1);
} sn_netns_01 SEC(".maps") KERNEL_WRITTEN;

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct socket_revnat_key);
	__type(value, struct socket_revnat);
	__uint(max_entries, 65536);
} sn_sockrev_02 SEC(".maps") KERNEL_WRITTEN;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct refusals);
	__uint(max_entries, 1);
} sn_refusal_01 SEC(".maps") KERNEL_WRITTEN;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u32);		/* the node's verdict epoch, from 1 */
	__uint(max_entries, 1);
} sn_epoch_01 SEC(".maps") KERNEL_WRITTEN;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);		/* direction << 8 | reason */
	__type(value, struct metric);
	__uint(max_entries, METRICS_MAX);
} sn_metrics_01 SEC(".maps") KERNEL_WRITTEN;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__type(key, __u32);		/* a frontend's id */
	__type(value, __u64);		/* flows for which one of its backends was drawn */
	__uint(max_entries, 131072);	/* as many as frontends; what does not fit is not counted */
	__uint(map_flags, BPF_F_NO_PREALLOC);
} sn_flows_01 SEC(".maps") KERNEL_WRITTEN;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} sn_samples_01 SEC(".maps") KERNEL_WRITTEN;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u32);		/* samples lost on this CPU since the last that was not */
	__uint(max_entries, 1);
} sn_lost_01 SEC(".maps") KERNEL_WRITTEN;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct node_state);
	__uint(max_entries, 1);
} sn_state_01 SEC(".maps") KERNEL_WRITTEN;

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__type(key, __u32);		/* enum seine_program_slot */
	__type(value, __u32);
	__uint(max_entries, 32);
} sn_progs_03 SEC(".maps") KERNEL_WRITTEN;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);		/* ifindex of an uplink whose programs are attached */
	__type(value, __u32);		/* 1 */
	__uint(max_entries, 64);
} sn_uplink_01 SEC(".maps") KERNEL_WRITTEN;

/* Of another kind of program than sn_progs_03. An empty slot passes everything. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__type(key, __u32);		/* 0: behind the stub at an uplink */
	__type(value, __u32);
	__uint(max_entries, 1);
} sn_xdp_01 SEC(".maps") KERNEL_WRITTEN;

ANCHOR(seine_verdict);
ANCHOR(seine_reason);
ANCHOR(seine_direction);
ANCHOR(seine_sample_kind);
ANCHOR(seine_subject_flag);
ANCHOR(seine_address_flag);
ANCHOR(seine_scope);
ANCHOR(seine_frontend_flag);
ANCHOR(seine_program_slot);
ANCHOR(seine_nat_flag);
ANCHOR(seine_self_flag);
ANCHOR(seine_ct_flag);
ANCHOR(seine_file);
const struct sample *btf_anchor_sample __attribute__((unused));
