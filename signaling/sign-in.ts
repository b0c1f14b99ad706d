// What ClientHello and ClientAuth lead to: login, registration or resume (spec/protocol.md §2).
import type { SigningKey } from '../keys/ed25519.ts';
import { KeyRefusal } from '../keys/key-refusal.ts';
import { checkClientAuth, makeNodeAuth, startChallenge, startResume } from '../keys/login-challenge.ts';
import { seal } from '../keys/openpgp.ts';
import { equal } from '../wire/bytes.ts';
import type { NodeErrorCode } from '../wire/errors.ts';
import type { Did, Uid } from '../wire/ids.ts';
import type { ClientAuth, ClientHello, IceServer, NodeAuth, NodeHello } from '../wire/login-messages.ts';
import { userNameProblem } from '../wire/names.ts';
import type { Buckets } from './buckets.ts';
import type { Challenges, PersonsAttempt, Ticket } from './challenges.ts';
import { claimedKeyOf, type Directory, type NewDevice } from './directory.ts';

export type Registration = 'open' | 'closed';

/** Who may not be logged by the name that a stranger gave: `who` is an account's name or undefined. `why` is for the log. */
export type SignInRefusal = { outcome: 'refused'; code: NodeErrorCode; why?: string; who?: string; retryAfter?: number };

export type Greeted = { outcome: 'greeted'; hello: NodeHello; ticket: Ticket };
export type SignedIn = {
  outcome: 'signed-in';
  nodeAuth: NodeAuth;
  purpose: PersonsAttempt['purpose'];
  uid: Uid;
  did: Did;
  username: string;
  /** Other devices of that person that this one has taken the place of. */
  gone: readonly Did[];
};

export type SignInParts = {
  directory: Directory;
  challenges: Challenges;
  nodeKey: SigningKey;
  /** The only ones that a client may have dialled. */
  origins: readonly string[];
  registration: Registration;
  iceServers: IceServer[];
  rates: SignInRates;
  random: (length: number) => Uint8Array;
};

/** By address. */
export type SignInRates = { logins: Buckets; registrations: Buckets; resumes: Buckets; wrongNames: Buckets };
/** `address` is undefined where nothing is counted. */
type From = { helloBytes: Uint8Array; address: string | undefined; now: number };

type Purpose<P extends ClientHello['hello']['purpose']> = Extract<ClientHello['hello'], { purpose: P }>;

export class SignIn {
  readonly #parts: SignInParts;

  constructor(parts: SignInParts) {
    this.#parts = parts;
  }

  async greet(from: From & { message: ClientHello }): Promise<Greeted | SignInRefusal> {
    const { hello } = from.message;
    const { origins, challenges } = this.#parts;
    // Without this an evil node could pass a victim's first login on to us (spec/protocol.md §2).
    if (!origins.includes(hello.origin)) return refused('wrong-origin');
    if (!challenges.hasRoom(hello.flags === 1)) return refused('busy');
    switch (hello.purpose) {
      case 'resume':
        return this.#limited('resumes', from) ?? this.#greetResume(hello, from);
      case 'login':
        return this.#limited('logins', from) ?? this.#guessing(from) ?? this.#greetLogin(hello, from);
      case 'register': {
        const limited = this.#limited('logins', from) ?? this.#limited('registrations', from) ?? this.#guessing(from);
        return limited ?? this.#greetNewcomer(hello, from);
      }
      default:
        return hello satisfies never;
    }
  }

  #limited(what: keyof SignInRates, { address, now }: From): SignInRefusal | undefined {
    const retryAfter = address === undefined ? 0 : this.#parts.rates[what].take(address, now);
    return retryAfter > 0 ? { ...refused('rate-limited'), retryAfter } : undefined;
  }

  /** After too many wrong names no name is answered: an answer to the right ones would tell them from the others. */
  #guessing({ address, now }: From): SignInRefusal | undefined {
    const retryAfter = address === undefined ? 0 : this.#parts.rates.wrongNames.wait(address, now);
    return retryAfter > 0 ? { ...refused('rate-limited'), retryAfter } : undefined;
  }

  #wrongName(code: 'unknown-user' | 'name-taken', from: From): SignInRefusal {
    return this.#limited('wrongNames', from) ?? refused(code);
  }

  async #greetLogin(hello: Purpose<'login'>, from: From): Promise<Greeted | SignInRefusal> {
    const account = await this.#parts.directory.accountNamed(hello.username);
    if (account === undefined) return this.#wrongName('unknown-user', from);
    return this.#challenge({ ...account, purpose: 'login', byHand: hello.flags === 1 }, from);
  }

  async #greetNewcomer(hello: Purpose<'register'>, from: From): Promise<Greeted | SignInRefusal> {
    const { directory, registration } = this.#parts;
    const { username } = hello;
    if (registration === 'closed') return refused('registration-closed');
    if (userNameProblem(username) !== undefined) return refused('name-not-allowed');
    const admitted = await directory.admitCertificate(hello.certificate, from.now);
    if (admitted.outcome === 'bad') return refused('bad-certificate', admitted.why);
    const { uid, certificate } = admitted.value;
    if ((await directory.account(uid)) !== undefined) return refused('key-taken');
    if ((await directory.accountNamed(username)) !== undefined) return this.#wrongName('name-taken', from);
    return this.#challenge({ uid, username, certificate, purpose: 'register', byHand: hello.flags === 1 }, from);
  }

  async #challenge(
    person: { uid: Uid; username: string; certificate: Uint8Array; purpose: 'login' | 'register'; byHand: boolean },
    { helloBytes, now }: From,
  ): Promise<Greeted | SignInRefusal> {
    const { nodeKey, random, challenges } = this.#parts;
    const { uid, username, certificate, purpose, byHand } = person;
    try {
      const { hello, open } = await startChallenge({ helloBytes, uid, certificate, nodeKey, sealer: { seal }, random, now });
      return { outcome: 'greeted', hello, ticket: challenges.put({ uid, username, certificate, purpose, byHand, open }, now) };
    } catch (error) {
      if (error instanceof KeyRefusal) return refused('bad-certificate', error.code);
      throw error;
    }
  }

  async #greetResume(hello: Purpose<'resume'>, from: From): Promise<Greeted | SignInRefusal> {
    const { directory, nodeKey, random, challenges } = this.#parts;
    const live = await directory.liveDevice(hello.did, from.now);
    const limited = live === undefined ? this.#limited('logins', from) : undefined;
    if (limited !== undefined) return limited;
    const started = await startResume({ helloBytes: from.helloBytes, nodeKey, random });
    const common = { byHand: false, open: started.open } as const;
    const ticket =
      live === undefined
        ? challenges.put({ ...common, purpose: 'unknown-device' }, from.now)
        : challenges.put({ ...common, ...live.account, ...live.device, purpose: 'resume' }, from.now);
    return { outcome: 'greeted', hello: started.hello, ticket };
  }

  /** `authBytes`: the whole message. */
  async answer(from: {
    ticket: Ticket;
    auth: ClientAuth;
    authBytes: Uint8Array;
    now: number;
  }): Promise<SignedIn | SignInRefusal> {
    const { attempt } = from.ticket;
    const who = attempt.purpose === 'login' || attempt.purpose === 'resume' ? { who: attempt.username } : {};
    const taken = this.#parts.challenges.take(from.ticket, from.now);
    if (taken !== 'taken') return { ...refused('challenge-expired', taken), ...who };
    if (attempt.purpose === 'unknown-device') return refused('device-refused');
    const outcome = await this.#check(attempt, from);
    return outcome.outcome === 'refused' ? { ...outcome, ...who } : this.#welcome(attempt, { ...from, ...outcome });
  }

  async #check(
    attempt: PersonsAttempt,
    { auth, now }: { auth: ClientAuth; now: number },
  ): Promise<{ outcome: 'good'; did: Did; gone: readonly Did[] } | SignInRefusal> {
    const { directory } = this.#parts;
    const { deviceCert, nameClaim } = auth.signed.fields;
    const code = attempt.purpose === 'resume' ? 'device-refused' : 'login-refused';
    const signPub = attempt.purpose === 'resume' ? attempt.signPub : claimedKeyOf(deviceCert);
    if (signPub === undefined) return refused(code, 'device malformed');
    // Cheap to dear: a stranger who cannot answer the challenge must not have certificates checked.
    const proof = await checkClientAuth({ open: attempt.open, auth, signPub });
    if (proof !== 'good') return refused(code, proof);
    const device = await this.#device(attempt, deviceCert, now);
    if (device.outcome === 'refused') return device;

    if (attempt.purpose !== 'register') {
      if (nameClaim !== undefined) return refused('login-refused', 'a name claim');
      const gone = device.isNew ? await directory.keepDevice(attempt.uid, device, now) : [];
      return { outcome: 'good', did: device.did, gone };
    }
    if (nameClaim === undefined) return refused('login-refused', 'no name claim');
    const claim = await directory.checkNameClaim(nameClaim, attempt, now);
    if (claim.outcome === 'bad') return refused('login-refused', `name claim ${claim.why}`);
    const registered = await directory.register(attempt, nameClaim, device);
    return registered === 'registered' ? { outcome: 'good', did: device.did, gone: [] } : refused(registered);
  }

  /** The device that speaks: the one that the client brings, or on resume the known one, whose certificate may have been renewed. */
  async #device(
    attempt: PersonsAttempt,
    deviceCert: Uint8Array,
    now: number,
  ): Promise<({ outcome: 'good'; isNew: boolean } & NewDevice) | SignInRefusal> {
    const isResume = attempt.purpose === 'resume';
    if (isResume && (deviceCert.length === 0 || equal(deviceCert, attempt.deviceCert))) {
      return { outcome: 'good', isNew: false, did: attempt.did, signPub: attempt.signPub, deviceCert: attempt.deviceCert };
    }
    const code = isResume ? 'device-refused' : 'login-refused';
    const checked = await this.#parts.directory.checkDevice(deviceCert, attempt, now);
    if (checked.outcome === 'bad') return refused(code, `device ${checked.why}`);
    if (isResume && !equal(checked.value.did, attempt.did)) return refused(code, 'device other-device');
    return { outcome: 'good', isNew: true, ...checked.value };
  }

  async #welcome(
    attempt: PersonsAttempt,
    from: { did: Did; gone: readonly Did[]; authBytes: Uint8Array; now: number },
  ): Promise<SignedIn> {
    const { directory, nodeKey, registration, iceServers } = this.#parts;
    const { uid, username, purpose } = attempt;
    const hasLockKey = await directory.hasLiveLockKey({ uid, did: from.did }, from.now);
    const fields: NodeAuth['fields'] = {
      uid,
      username,
      nodeTime: from.now,
      policy: { registration },
      iceServers,
      flags: hasLockKey ? 1 : 0,
    };
    const nodeAuth = await makeNodeAuth({ th1: attempt.open.th1, authBytes: from.authBytes, fields, nodeKey });
    return { outcome: 'signed-in', nodeAuth, purpose, uid, did: from.did, username, gone: from.gone };
  }
}

function refused(code: NodeErrorCode, why?: string): SignInRefusal {
  return why === undefined ? { outcome: 'refused', code } : { outcome: 'refused', code, why };
}
