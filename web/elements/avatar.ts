// A coloured disc with the first letter of a name: decoration that helps the eye, never the only mark of a person.
import { css, html, type TemplateResult } from 'lit';
import { hueOf } from '../person-name.ts';

export function avatar(id: string, name: string, shape: 'person' | 'group' = 'person'): TemplateResult {
  return html`<span class="avatar ${shape} hue-${hueOf(id)}" aria-hidden="true">${firstLetter(name)}</span>`;
}

export const avatarStyles = css`
  .avatar {
    display: grid;
    place-items: center;
    flex: none;
    width: 2.25rem;
    height: 2.25rem;
    border-radius: 50%;
    color: #ffffff;
    font-size: 0.9375rem;
    font-weight: 600;
    line-height: 1;
    text-transform: uppercase;
    user-select: none;
  }

  .avatar.group {
    border-radius: 0.625rem;
  }

  .hue-0 {
    background: #a4480f;
  }

  .hue-1 {
    background: #7d6100;
  }

  .hue-2 {
    background: #3c7423;
  }

  .hue-3 {
    background: #0b7568;
  }

  .hue-4 {
    background: #1c6ba3;
  }

  .hue-5 {
    background: #5a57c4;
  }

  .hue-6 {
    background: #9440a8;
  }

  .hue-7 {
    background: #b02e63;
  }
`;

function firstLetter(name: string): string {
  return name.match(/[\p{L}\p{N}\p{Extended_Pictographic}]/u)?.[0] ?? '?';
}
