// What the dialogs of the chat ask for, and what becomes of the answers.

import { limits } from '../../wire/limits.ts';
import { isReadableName } from '../../wire/names.ts';
import type { Controller, GroupView, MemberView } from '../app-state.ts';
import { tidyUsername } from '../username.ts';
import type { Question } from './ask-dialog.ts';
import type { Confirmation } from './confirm-dialog.ts';

export function createQuestion(controller: Controller): Question {
  return {
    heading: 'New group',
    sentence: 'You become its owner. Only members see its name and who is in it; the node sees neither.',
    label: 'Name of the group',
    maxlength: 64,
    action: 'Make group',
    doing: 'Making the group …',
    check: (name) => nameProblem(name, limits.groupNameBytes) ?? (name === '' ? 'Give the group a name.' : undefined),
    answer: (name) => attempt(controller, () => controller.createGroup(name)),
  };
}

export function joinQuestion(controller: Controller): Question {
  return {
    heading: 'Join by link',
    sentence: 'Paste an invite link. A member who is online lets you in; if nobody is, you get in as soon as somebody comes.',
    label: 'Invite link',
    placeholder: 'https://…/#1.…',
    action: 'Join',
    doing: 'Following the link …',
    check: (link) => (link.includes('#1.') ? undefined : 'That is not an invite link. It has “#1.” in it, and much after that.'),
    answer: (link) => attempt(controller, () => controller.joinByLink(link)),
  };
}

export function addQuestion(controller: Controller, group: GroupView): Question {
  return {
    heading: 'Add by user name',
    sentence: `They are added to “${group.name}” at once, and find it when they next come online.`,
    label: 'User name',
    maxlength: 64,
    action: 'Add',
    doing: 'Looking them up …',
    check: (username) => (username === '' ? 'Enter a user name.' : undefined),
    answer: async (username) => {
      let result = 'failed';
      const problem = await attempt(controller, async () => {
        result = await controller.addMember(group.gid, tidyUsername(username));
      });
      return problem ?? (result === 'failed' ? `${username} could not be added.` : undefined);
    },
  };
}

export function nicknameQuestion(controller: Controller, group: GroupView): Question {
  return {
    heading: 'Your nickname',
    sentence: `In “${group.name}” you are shown as “nickname (${ownName(group)})”. Leave it empty to have none.`,
    label: 'Nickname',
    value: group.members.find((member) => member.own)?.nickname ?? '',
    maxlength: 32,
    action: 'Save',
    doing: 'Saving …',
    check: (nickname) => nameProblem(nickname, limits.nicknameBytes),
    answer: (nickname) => attempt(controller, () => controller.setNickname(group.gid, nickname)),
  };
}

export function removeConfirmation(controller: Controller, group: GroupView, member: MemberView): Confirmation {
  return {
    heading: `Remove ${member.username}?`,
    sentences: [
      `They get no new messages of “${group.name}” from the moment others know of it.`,
      'They keep what they have read, and may have copied it.',
    ],
    action: `Remove ${member.username}`,
    doing: 'Making new keys for those who stay …',
    confirm: () => attempt(controller, () => controller.removeMember(group.gid, member.uid)),
  };
}

export function ownerConfirmation(controller: Controller, group: GroupView, member: MemberView): Confirmation {
  return {
    heading: `Make ${member.username} an owner?`,
    sentences: [
      `They may do everything in “${group.name}” then: add and remove people, and give roles.`,
      'You cannot take it back: no owner removes another, or changes their role.',
    ],
    action: 'Make owner',
    doing: 'Changing the role …',
    confirm: () => attempt(controller, () => controller.setRole(group.gid, member.uid, 'owner')),
  };
}

export function leaveConfirmation(controller: Controller, group: GroupView): Confirmation {
  return {
    heading: 'Leave this group?',
    sentences: [
      `You get no new messages of “${group.name}”. You keep what you have read on this device.`,
      'Somebody has to bring you back in.',
    ],
    action: 'Leave group',
    doing: 'Leaving …',
    confirm: () => attempt(controller, () => controller.leaveGroup(group.gid)),
  };
}

/** Does it and resolves with what went wrong, which then is shown where it was asked for instead of above the page. */
export async function attempt(controller: Controller, action: () => Promise<void>): Promise<string | undefined> {
  controller.dismissProblem();
  await action();
  await nextState();
  const { state } = controller;
  const problem = state.screen === 'chat' ? state.problem : undefined;
  if (problem !== undefined) controller.dismissProblem();
  return problem;
}

// The state follows what happened by a frame, or by a quarter of a second where there are no frames.
function nextState(): Promise<void> {
  return new Promise((passed) => {
    requestAnimationFrame(() => passed());
    setTimeout(passed, 300);
  });
}

function nameProblem(name: string, mostBytes: number): string | undefined {
  if (new TextEncoder().encode(name).length > mostBytes) return 'This is too long.';
  return isReadableName(name.normalize('NFC')) ? undefined : 'It has characters that cannot be seen. Type it anew.';
}

function ownName(group: GroupView): string {
  return group.members.find((member) => member.own)?.username ?? 'user name';
}
