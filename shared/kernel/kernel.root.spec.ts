import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import {
  addressAdd, clsactAdd, closeFd, createNetns, deleteNetns, filterReplace, gracePeriod, inNetnsAt, linkCreate, linkDelete, linkDetach, linkUp, loadObject, mapKernel, neighbourReplace, netnsCookie,
  openFd, openNetlink, netnsPath, openRingBuffer, programInfo, queryPrograms, routeReplace, testRun, tcxLinkFirst, ATTACH, vethAdd, mapHandle,
} from './index.ts';
import { mapConformance } from './map.conformance.ts';

mapConformance('the kernel', () => mapKernel);

describe('netlink in namespaces of our own', () => {
  const near = `seine-test-${process.pid}-a`;
  const far = `seine-test-${process.pid}-b`;
  beforeAll(() => { createNetns(near); createNetns(far); });
  afterAll(() => { deleteNetns(near); deleteNetns(far); });

  test('wires two namespaces, addresses, routes and neighbours in a few sends', () => {
    const netlink = inNetnsAt(near, () => openNetlink());
    const fd = openFd(netnsPath(far));
    netlink.transact([vethAdd({ near: { name: 'va', mac: '02:00:00:00:00:01' }, far: { name: 'eth0', mac: '02:00:00:00:00:02', netnsFd: fd }, mtu: 1400 })]);
    const index = netlink.linkIndex('va')!;
    netlink.transact([linkUp(index), addressAdd({ index, address: '10.1.0.1', length: 32 }), routeReplace({ destination: '10.1.0.2', length: 32, index }),
      neighbourReplace({ index, address: '10.1.0.2', mac: '02:00:00:00:00:02' }), clsactAdd(index)]);
    expect(netlink.links().find((link) => link.name === 'va')).toMatchObject({ mac: '02:00:00:00:00:01', mtu: 1400, up: true });
    const object = loadObject('bpf/build/pod.o');
    netlink.transact([filterReplace({ index, direction: 'ingress', programFd: object.programFd('stub_from_pod'), name: 'stub' })]);
    expect(netlink.filterProgram(index, 'ingress')).toBe(programInfo(object.programFd('stub_from_pod')).id);
    expect(netlink.filterProgram(index, 'egress')).toBeUndefined();
    object.close();
    netlink.close();
    closeFd(fd);
  });

  test('names what failed and why', () => {
    const netlink = inNetnsAt(near, () => openNetlink());
    expect(() => { netlink.transact([linkUp(4711)]); }).toThrow('bring up link 4711: ENODEV');
    netlink.close();
  });

  test('tells namespaces apart by their cookies', () => {
    expect(inNetnsAt(near, netnsCookie)).not.toBe(inNetnsAt(far, netnsCookie));
  });
});

describe('programs', () => {
  test('run on a packet, and what they sample comes out of the ring', () => {
    const object = loadObject('bpf/build/pod.o');
    const samples = mapHandle(object.mapFd('sn_samples_01'));
    const ring = openRingBuffer(samples.fd, samples.maxEntries);
    const packet = Buffer.alloc(60);
    packet.writeUInt16BE(0x0800, 12);
    expect(testRun(object.programFd('from_pod'), { data: packet }).retval).toBe(2); // TC_ACT_SHOT: version 0 is no IPv4
    const reasons: number[] = [];
    ring.drain((record) => { reasons.push(record[54]!); });
    expect(reasons).toEqual([134]);
    ring.close();
    object.close();
  });

  test('stand first at a TCX hook, in front of who was there, once each, until they are taken off', async () => {
    const object = loadObject('bpf/build/pod.o');
    const other = loadObject('bpf/build/foreign.o');
    const name = `sntcx${process.pid % 1000}`;
    const netlink = openNetlink();
    netlink.transact([vethAdd({ near: { name }, far: { name: `${name}p` } })]);
    try {
      const index = netlink.linkIndex(name)!;
      const [ours, theirs] = [object.programFd('stub_from_pod'), other.programFd('foreign_ok')];
      const foreign = linkCreate(theirs, index, ATTACH.tcxIngress);
      const link = await tcxLinkFirst(ours, index, ATTACH.tcxIngress);
      expect(queryPrograms(index, ATTACH.tcxIngress)).toEqual([programInfo(ours).id, programInfo(theirs).id]);
      await expect(tcxLinkFirst(ours, index, ATTACH.tcxIngress)).rejects.toMatchObject({ code: 'SEINE_KERNEL_EEXIST' });
      await linkDetach(link);
      await linkDetach(link);
      expect(queryPrograms(index, ATTACH.tcxIngress)).toEqual([programInfo(theirs).id]);
      closeFd(link);
      closeFd(foreign);
    } finally {
      netlink.transact([linkDelete(name)]);
      netlink.close();
      object.close();
      other.close();
    }
  });

  test('have all ended when a grace period has', async () => {
    await gracePeriod();
  });
});
