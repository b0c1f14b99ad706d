// Why an op of a group's log changes nothing: a closed table of codes, a text for us, and what to say in the conversation.

export const voidReasons = {
  // wherever it stands
  'bad-device': {
    us: 'device certificate malformed or of another person',
    person: 'It named a device that does not prove itself.',
  },
  'bad-proof': { us: 'signatures of the invite proof', person: 'The invite was not used by whom it was said to be.' },
  'leave-not-alone': { us: 'leave beside other changes or an epoch', person: 'Leaving cannot be mixed with anything else.' },
  'weak-epoch': { us: 'removal with an epoch that is not fresh', person: 'It removed somebody but kept the old key.' },

  // the author
  'unknown-author': { us: 'author device not in the past of the op', person: 'It came from a device that is not in the group.' },
  'not-in-group': { us: 'author not in the group at that point', person: 'Its author was not in the group.' },
  'author-removed': { us: 'author removed or demoted at the same time', person: 'Its author was being removed at that time.' },
  undone: { us: 'removal that rests on what another removal undid', person: 'What it rested on was undone at that time.' },
  'role-too-low': { us: 'role of the author', person: 'The role of its author does not allow that.' },
  'over-quota': { us: 'too much of the last 100 ops', person: 'Its author changed the group too often.' },

  // whom it is about
  'already-in': { us: 'add of a member', person: 'They were in the group already.' },
  'not-a-member': { us: 'target not in the group', person: 'They were not in the group.' },
  'last-owner': { us: 'would leave no owner', person: 'A group needs an owner.' },
  'group-full': { us: 'member limit', person: 'The group was full.' },
  'device-known': { us: 'add of a device that is in', person: 'That device was in the group already.' },
  'device-unknown': { us: 'device not in the group', person: 'That device was not in the group.' },
  'last-device': { us: 'would leave a member without device', person: 'It was their only device.' },
  'too-many-devices': { us: 'device limit', person: 'They had as many devices as a person can have.' },

  // invites and policy
  'invite-known': { us: 'invite key used before', person: 'That invite existed already.' },
  'invite-unknown': { us: 'no such invite', person: 'There was no such invite.' },
  'invite-revoked': { us: 'invite revoked', person: 'The invite had been revoked.' },
  'invite-used-up': { us: 'maxUses reached', person: 'The invite had been used already.' },
  'invite-bound': { us: 'invite for another uid', person: 'The invite was for somebody else.' },
  'invite-role': { us: 'role differs from that of the invite', person: 'The invite was for another role.' },
  'invite-lapsed': {
    us: 'inviter may not admit any more, or the invited person was removed since',
    person: 'The invite was no longer good.',
  },
  'invite-useless': { us: 'maxUses 0', person: 'Nobody could have used that invite.' },
  'weaker-policy': { us: 'lower wrap or suite', person: 'The protection of a group can only go up.' },
} as const;

export type VoidReason = keyof typeof voidReasons;
