// Makes an invite link and shows it to copy and as a QR code, with a sentence about who can use it.
import { css, html, type TemplateResult } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { DialogElement, dialogStyles } from './dialog-frame.ts';
import { problemLine } from './field.ts';
import './copy-line.ts';

export type MakeLink = () => Promise<{ link: string } | { problem: string }>;

@customElement('secure-invite-dialog')
export class InviteDialog extends DialogElement {
  @property({ attribute: false }) accessor groupName = '';
  @property({ attribute: false }) accessor makeLink: MakeLink | undefined;
  @state() private accessor made: { link: string } | { problem: string } | undefined;

  static override styles = [
    ...dialogStyles,
    css`
      section {
        display: grid;
        gap: 1rem;
      }

      p {
        color: var(--quiet);
        overflow-wrap: anywhere;
      }

      .working {
        display: flex;
        align-items: center;
        gap: 0.75rem;
        min-height: 8rem;
      }

      secure-qr-picture {
        justify-self: center;
        width: min(16rem, 100%);
        min-height: 8rem;
      }
    `,
  ];

  override get heading(): string {
    return `Invite to ${this.groupName}`;
  }

  override body(): TemplateResult {
    return html`<section>${this.#link()}</section>`;
  }

  #link(): TemplateResult {
    const { made } = this;
    if (made === undefined) {
      return html`<p class="working" role="status"><span class="spinner" aria-hidden="true"></span>Making a link …</p>`;
    }
    if ('problem' in made) {
      return html`${problemLine('link', made.problem)}<button type="button" @click=${() => this.#make()}>Try again</button>`;
    }
    return html`<p>
        Whoever has this link can join and will read what is written from then on. Send it only to people you mean, over a channel you
        trust. Everything secret stands after the # and never reaches a server.
      </p>
      <secure-copy-line what="invite link" text=${made.link}></secure-copy-line>
      <secure-qr-picture text=${made.link} label="QR code of the invite link"></secure-qr-picture>
      <button type="button" @click=${() => this.#make()}>Make another link</button>`;
  }

  protected override firstUpdated(): void {
    super.firstUpdated();
    void this.#make();
  }

  async #make(): Promise<void> {
    this.made = undefined;
    // The picture is a part of its own, and without it there is still the link.
    const picture = import('./qr-picture.ts').catch((error: unknown) => console.error(error));
    const [made] = await Promise.all([this.makeLink?.(), picture]);
    this.made = made;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'secure-invite-dialog': InviteDialog;
  }
}
