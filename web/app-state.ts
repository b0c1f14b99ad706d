// What the screens draw and what they may ask for. The controller keeps one AppState; elements get parts of it and emit events.
// Ids are hex here. Texts that failed are sentences for the person, already in words.

export type KeyFacts = {
  fingerprint: string;
  userIds: string[];
  algorithm: string;
  createdAt: number;
  expiresAt: number | undefined;
  subkeys: { algorithm: string; canSign: boolean; canEncrypt: boolean; hasSecret: boolean }[];
};

/** Answer of the key doctor; `ready` leaves the key with the worker until it is used or dropped. */
export type KeyCheck =
  | { outcome: 'ready'; facts: KeyFacts; needsPassphrase: boolean; suggestedUsername: string }
  | { outcome: 'choose'; keys: { fingerprint: string; userIds: string[] }[] }
  | { outcome: 'refused'; what: string; mend: string };

/** 'sending': stored here, nobody else has it. 'saved': alone in the group. 'sent': others have it. 'delivered': every member who is a receiver confirmed. */
export type SendState = 'sending' | 'saved' | 'sent' | 'delivered' | 'failed';

export type MessageView = {
  id: string;
  author: { uid: string; username: string; nickname: string | undefined; own: boolean };
  text: string;
  sentAt: number;
  /** Only for own messages. */
  state: SendState | undefined;
  deliveredTo: number;
  receivers: number;
  /** Came after later ones were shown. */
  late: boolean;
  /** Something before it has not arrived yet. */
  gapBefore: boolean;
};

/** A line in the conversation that is no message: "alice created the group", "bob joined". */
export type NoticeView = { id: string; at: number; text: string };

export type ConversationItem = ({ item: 'message' } & MessageView) | ({ item: 'notice' } & NoticeView);

/** direct: a live data channel; relayed: the same through TURN; online: the node sees them, linking; offline: neither. */
export type Reach = 'direct' | 'relayed' | 'linking' | 'offline';

/** Roles that one gives to another on the screens. */
export type GivenRole = 'owner' | 'admin' | 'member';

export type MemberView = {
  uid: string;
  username: string;
  nickname: string | undefined;
  /** The nickname could be taken for another member: shown with a warning and never alone. */
  nicknameConfusable: boolean;
  role: 'owner' | 'admin' | 'member' | 'keeper';
  fingerprint: string;
  own: boolean;
  reach: Reach;
  /** By me, now. */
  mayRemove: boolean;
  /** Roles that I may give them now. */
  mayBecome: GivenRole[];
};

export type GroupSummary = {
  gid: string;
  name: string;
  lastLine: string;
  lastAt: number;
  unread: number;
  members: number;
  reachable: number;
  /** This device is not in it any more. */
  out: boolean;
};

export type GroupView = {
  gid: string;
  name: string;
  items: ConversationItem[];
  members: MemberView[];
  mayInvite: boolean;
  /** False for the only owner while others are in. */
  mayLeave: boolean;
  /** A sentence, when this device is not in the group any more: it only reads. */
  out: string | undefined;
  /** What the group is waiting for, in words, or undefined when it is in order: "Waiting for the group key from a member …" */
  waitingFor: string | undefined;
};

/** An invite being followed: progress in words, and how it ended. */
export type JoinView = { state: 'asking' | 'waiting' | 'failed'; groupName: string | undefined; text: string };

/** offline: it is tried again by itself; stopped: not before the person acts, if that can help. */
export type NodeState =
  | { state: 'connecting' | 'connected' | 'offline'; text: string }
  | { state: 'stopped'; text: string; mayRetry: boolean };

export type AppState =
  | { screen: 'starting'; text: string }
  | {
      screen: 'sign-in';
      /** Names of accounts kept in this browser, the last used one first. */
      accounts: string[];
      /** Where an invite link leads to, if the page was opened by one. */
      invitedTo: { origin: string } | undefined;
      /** Registering and logging in: what is being done now, in words. */
      busy: string | undefined;
      /** What went wrong last, in a sentence, and at which field. */
      problem: { field: 'username' | 'passphrase' | 'key' | 'node'; text: string } | undefined;
    }
  | {
      screen: 'chat';
      me: { uid: string; username: string; fingerprint: string; deviceName: string };
      node: NodeState;
      groups: GroupSummary[];
      open: GroupView | undefined;
      joining: JoinView | undefined;
      /** A sentence about the last action that failed, until dismissed. */
      problem: string | undefined;
      /** The second tab of a profile only reads. */
      readOnly: string | undefined;
    };

export type Theme = 'system' | 'light' | 'dark' | 'date';

/** Implemented by web/chat-controller.ts over the mesh, and by a fake in the element specs. Promises resolve when done; failures land in `state`. */
export interface Controller {
  readonly state: AppState;
  /** Called after each change, at most once per animation frame. */
  subscribe(changed: () => void): () => void;

  register(input: { username: string; passphrase: string }): Promise<void>;
  /** Account kept in this browser. */
  logIn(input: { username: string; passphrase: string }): Promise<void>;
  /** Key doctor: bytes of a pasted text, chosen or dropped file; `choice` is a fingerprint when there were several. */
  checkKey(bytes: Uint8Array, choice?: string): Promise<KeyCheck>;
  /** Registers the name for the checked key, or logs in if the key has that name already. A key without a passphrase gets this one. */
  useKey(input: { username: string; passphrase: string }): Promise<void>;
  cancelSignIn(): void;
  lock(): void;
  /** The person asks to try the node again. */
  reconnect(): void;

  openGroup(gid: string): void;
  createGroup(name: string): Promise<void>;
  /** The link, made anew with each call; resolves undefined on failure (see state.problem). */
  inviteLink(gid: string): Promise<string | undefined>;
  addMember(gid: string, username: string): Promise<'added' | 'failed'>;
  /** Before somebody is signed in it is remembered: `invitedTo` says so, and it is followed right after. */
  joinByLink(link: string): Promise<void>;
  dismissJoin(): void;
  dismissProblem(): void;

  removeMember(gid: string, uid: string): Promise<void>;
  setRole(gid: string, uid: string, role: GivenRole): Promise<void>;
  leaveGroup(gid: string): Promise<void>;

  send(gid: string, text: string): Promise<'stored' | 'failed'>;
  setNickname(gid: string, nickname: string): Promise<void>;
  /** The reader has seen the newest item. */
  markRead(gid: string): void;
}
