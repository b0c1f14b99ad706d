import { strict as assert } from 'node:assert';
import type { Device } from '../keys/device.ts';
import { descriptionHash, linkHash, signLink, verifyLink } from '../keys/link-confirm.ts';
import { Links } from '../mesh/links.ts';
import { compare, equal } from '../wire/bytes.ts';
import type { Did } from '../wire/ids.ts';
import type { PeerMessage } from '../wire/peer-messages.ts';
import type { SignalBody } from '../wire/signal.ts';
import { ManualClock, seededRandom, VirtualNetwork } from './fakes.ts';
import { person } from './people.ts';

type Peer = { name: string; device: Device; links: Links; heard: PeerMessage[]; happened: string[] };

/** Devices whose signals pass through one hand, which may look at them, hold them back or forge. */
class Room {
  readonly clock = new ManualClock();
  readonly random = seededRandom(7);
  readonly network = new VirtualNetwork({ clock: this.clock, random: this.random });
  readonly peers: Peer[] = [];
  readonly signals: SignalBody[] = [];
  /** What becomes of a signal on its way. */
  onSignal: (body: SignalBody) => SignalBody | undefined = (body) => body;

  async join(name: string): Promise<Peer> {
    const { device } = await person(name, this.clock.now());
    return this.#start(name, device);
  }

  /** A new process of the same device: same keys, nothing else. The old one is gone without a word. */
  restart({ name, device }: Peer): Peer {
    this.network.kill(name);
    this.peers.splice(
      this.peers.findIndex((peer) => peer.name === name),
      1,
    );
    return this.#start(name, device);
  }

  #start(name: string, device: Device): Peer {
    const peer: Peer = { name, device, links: this.#links(name, device, () => peer), heard: [], happened: [] };
    this.peers.push(peer);
    return peer;
  }

  everybodyMeets(): void {
    for (const { links, device } of this.peers) {
      links.want(this.peers.map((peer) => peer.device.did).filter((did) => !equal(did, device.did)));
    }
    const newest = this.peers.at(-1);
    for (const { links, device } of this.peers) {
      for (const other of this.peers)
        if (!equal(other.device.did, device.did)) links.seen(other.device.did, true, newest?.device === device ? 'me' : 'them');
    }
  }

  #links(name: string, device: Device, peer: () => Peer): Links {
    const { clock, random } = this;
    return new Links({
      me: device.did,
      ...{ clock, random },
      openLink: this.network.device(name).openLink,
      iceServers: () => [],
      sendSignal: async (to, signal) => this.#carry({ ...signal, from: device.did, to }),
      hashOffer: descriptionHash,
      signProof: (facts) => signLink(device.signer, linkHash(facts)),
      checkProof: (them, facts, signature) => {
        const signPub = this.peers.find((other) => equal(other.device.did, them))?.device.signer.publicKey ?? new Uint8Array(32);
        return verifyLink({ signPub, linkHash: linkHash(facts), signature });
      },
      note: () => undefined,
      events: {
        opened: (did) => peer().happened.push(`opened ${this.#nameOf(did)}`),
        message: (_, message) => peer().heard.push(message),
        closed: (did) => peer().happened.push(`closed ${this.#nameOf(did)}`),
      },
    });
  }

  #carry(body: SignalBody): 'sent' | 'not-there' {
    this.signals.push(body);
    const passed = this.onSignal(body);
    const receiver = this.peers.find(({ device }) => equal(device.did, body.to));
    if (receiver === undefined) return 'not-there';
    if (passed !== undefined) this.clock.after(5, () => receiver.links.signalled(passed));
    return 'sent';
  }

  #nameOf(did: Did): string {
    return this.peers.find(({ device }) => equal(device.did, did))?.name ?? 'nobody';
  }
}

async function pair(): Promise<{ room: Room; alice: Peer; bob: Peer }> {
  const room = new Room();
  const alice = await room.join('alice');
  const bob = await room.join('bob');
  return { room, alice, bob };
}

const linked = ({ alice, bob }: { alice: Peer; bob: Peer }) =>
  alice.links.isOpen(bob.device.did) && bob.links.isOpen(alice.device.did);

describe('links', () => {
  it('open once, whoever knocks first and when both do', async () => {
    const { room, alice, bob } = await pair();
    for (const { links } of [alice, bob])
      links.want(
        [alice.device.did, bob.device.did].filter(
          (did) => !equal(did, links === alice.links ? alice.device.did : bob.device.did),
        ),
      );
    alice.links.seen(bob.device.did, true, 'me');
    bob.links.seen(alice.device.did, true, 'me');
    await room.clock.advanceUntil(() => linked({ alice, bob }));
    assert.deepEqual([alice.happened, bob.happened], [['opened bob'], ['opened alice']]);
    assert.equal(room.network.linksOf('alice'), 1);
  });

  it('of a glare the offer of the lower device wins', async () => {
    const { room, alice, bob } = await pair();
    room.everybodyMeets();
    alice.links.seen(bob.device.did, true, 'me');
    bob.links.seen(alice.device.did, true, 'me');
    await room.clock.advanceUntil(() => linked({ alice, bob }));
    const lower = compare(alice.device.did, bob.device.did) < 0 ? alice : bob;
    const offers = room.signals.filter(({ payload }) => payload.kind === 'offer');
    assert.ok(offers.every(({ from }) => equal(from, lower.device.did)));
  });

  it('carry messages whole and in order', async () => {
    const { room, alice, bob } = await pair();
    room.everybodyMeets();
    await room.clock.advanceUntil(() => linked({ alice, bob }));
    for (let i = 0; i < 50; i++) alice.links.send(bob.device.did, { type: 'frame', frame: new Uint8Array(1000 + i) });
    await room.clock.advanceUntil(() => bob.heard.length === 50);
    assert.deepEqual(
      bob.heard.map((message) => (message.type === 'frame' ? message.frame.length : 0)),
      Array.from({ length: 50 }, (_, i) => 1000 + i),
    );
  });

  it('queue what the channel cannot take and send it when there is room', async () => {
    const { room, alice, bob } = await pair();
    room.everybodyMeets();
    await room.clock.advanceUntil(() => linked({ alice, bob }));
    for (let i = 0; i < 40; i++) alice.links.send(bob.device.did, { type: 'frame', frame: new Uint8Array(60_000) });
    await room.clock.advanceUntil(() => bob.heard.length === 40);
  });

  it('come back by themselves after being cut', async () => {
    const { room, alice, bob } = await pair();
    room.everybodyMeets();
    await room.clock.advanceUntil(() => linked({ alice, bob }));
    room.network.breakLinks('alice', 'bob');
    await room.clock.advanceUntil(() => !linked({ alice, bob }));
    await room.clock.advanceUntil(() => linked({ alice, bob }), 60_000);
  });

  it('notice a neighbour that vanished without a word', async () => {
    const { room, alice, bob } = await pair();
    room.everybodyMeets();
    await room.clock.advanceUntil(() => linked({ alice, bob }));
    room.network.kill('bob');
    await room.clock.advanceUntil(() => !alice.links.isOpen(bob.device.did), 30_000);
  });

  it('take over from a link whose other side was reloaded', async () => {
    const { room, alice, bob } = await pair();
    room.everybodyMeets();
    await room.clock.advanceUntil(() => linked({ alice, bob }));
    const fresh = room.restart(bob);
    fresh.links.want([alice.device.did]);
    fresh.links.seen(alice.device.did, true, 'me');
    await room.clock.advanceUntil(() => linked({ alice, bob: fresh }) && alice.happened.length > 1, 5_000);
    assert.deepEqual(alice.happened, ['opened bob', 'closed bob', 'opened bob']);
  });

  it('are closed at once to a device that is no longer wanted', async () => {
    const { room, alice, bob } = await pair();
    room.everybodyMeets();
    await room.clock.advanceUntil(() => linked({ alice, bob }));
    alice.links.want([]);
    assert.equal(alice.links.isOpen(bob.device.did), false);
    await room.clock.advanceUntil(() => !bob.links.isOpen(alice.device.did), 1_000);
  });

  it('are made by eight at once, each pair once', async () => {
    const room = new Room();
    const names = ['ann', 'ben', 'cid', 'dot', 'eli', 'fay', 'gus', 'hal'];
    for (const name of names) await room.join(name);
    room.everybodyMeets();
    await room.clock.advanceUntil(() => room.peers.every(({ links }) => links.openDids().length === names.length - 1), 120_000);
    for (const name of names) assert.equal(room.network.linksOf(name), names.length - 1);
  });
});
