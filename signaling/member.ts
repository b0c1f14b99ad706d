// Who has logged in on a socket.
import type { NodeErrorCode } from '../wire/errors.ts';
import { asDid, asUid, type Did, type Uid } from '../wire/ids.ts';
import { type Attendee, bytesOf, type Follows } from './presence.ts';

/** The connection that the member came by. */
interface Line {
  push(message: Uint8Array, written?: () => void): 'sent' | 'closed';
  offer(message: Uint8Array, written: () => void): 'sent' | 'closed' | 'full';
  end(code: NodeErrorCode): void;
}

/** A person on a device. */
export class Member implements Attendee {
  readonly person: string;
  readonly device: string;
  readonly username: string;
  follows: Follows | undefined;
  readonly #line: Line;

  constructor(line: Line, { person, device, username }: { person: string; device: string; username: string }) {
    this.#line = line;
    this.person = person;
    this.device = device;
    this.username = username;
    this.follows = undefined;
  }

  get uid(): Uid {
    return asUid(bytesOf(this.person));
  }

  get did(): Did {
    return asDid(bytesOf(this.device));
  }

  push(message: Uint8Array, written?: () => void): 'sent' | 'closed' {
    return this.#line.push(message, written);
  }

  offer(message: Uint8Array, written: () => void): 'sent' | 'closed' | 'full' {
    return this.#line.offer(message, written);
  }

  end(code: 'replaced' | 'device-refused'): void {
    this.#line.end(code);
  }
}
