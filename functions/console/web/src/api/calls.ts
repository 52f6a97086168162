/** The operations of the API that the console uses, one function each, by their operation ids. */

import { download, request } from './client';
import type * as T from './types';

type Id = string;
const campaign = '/v1/campaigns/{id}';

export const signIn = (token: string) =>
  request<T.Session>('POST', '/v1/session', { headers: { authorization: `Bearer ${token}` } });
/** `token` is the identity provider's (OpenID Connect: the ID token). */
export const signInWithOidc = (token: string) =>
  request<T.Session>('POST', '/v1/session/oidc', { headers: { authorization: `Bearer ${token}` } });
export const getSession = () => request<T.Session>('GET', '/v1/session');
export const signOut = () => request<void>('DELETE', '/v1/session');

export const listTokens = () => request<T.TokenList>('GET', '/v1/tokens');
export const createToken = (body: { name: string; role: T.Role; expires_at?: string }) =>
  request<T.CreatedToken>('POST', '/v1/tokens', { body });
export const revokeToken = (id: string) => request<void>('DELETE', '/v1/tokens/{id}', { path: { id } });

export interface CampaignFilter {
  search?: string;
  state?: string;
  kind?: 'campaigns' | 'tests' | 'all';
  after?: string;
  limit?: number;
}
export const listCampaigns = (filter: CampaignFilter) =>
  request<T.CampaignList>('GET', '/v1/campaigns', { query: { ...filter } });
export const createCampaign = (body: unknown) => request<T.CampaignUpload>('POST', '/v1/campaigns', { body });
export const getCampaign = (id: Id) => request<T.Campaign>('GET', campaign, { path: { id } });
export const updateCampaign = (id: Id, body: Record<string, unknown>) =>
  request<T.Campaign>('PATCH', campaign, { path: { id }, body });
export const addFile = (id: Id, body: { name: string; size: number }) =>
  request<T.CampaignUpload>('POST', `${campaign}/files`, { path: { id }, body });
/** The preview, or the state of a campaign whose file is still read. */
export const previewCampaign = (id: Id, options?: Partial<T.FileOptions>) =>
  request<T.PreviewView | T.CampaignStateView>('POST', `${campaign}/preview`, {
    path: { id },
    body: options ? { options } : {},
  });
export const sendTest = (id: Id, body: { to: string; row?: number }) =>
  request<T.CampaignStateView>('POST', `${campaign}/test`, { path: { id }, body });
export type Command = 'start' | 'pause' | 'resume' | 'cancel' | 'continue';
export const command = (id: Id, name: Command) =>
  request<T.CampaignStateView>('POST', `${campaign}/${name}`, { path: { id } });
export const createRetry = (id: Id, body: unknown) =>
  request<T.CampaignStateView>('POST', `${campaign}/retries`, { path: { id }, body });

export const requestApproval = (id: Id, note?: string) =>
  request<T.Approval>('POST', `${campaign}/approval-request`, { path: { id }, body: note ? { note } : {} });
export const giveApproval = (id: Id, hash: string) =>
  request<T.Approval>('POST', `${campaign}/approval`, { path: { id }, body: { hash } });
export const withdrawApproval = (id: Id) => request<T.Approval>('DELETE', `${campaign}/approval`, { path: { id } });

export const getTimeline = (id: Id) => request<T.Timeline>('GET', `${campaign}/timeline`, { path: { id } });
export const getFailures = (id: Id) => request<T.Failures>('GET', `${campaign}/failures`, { path: { id } });
export const listRows = (id: Id, query: { state?: string; code?: number; after?: number; limit?: number }) =>
  request<T.RowList>('GET', `${campaign}/rows`, { path: { id }, query });
export const getRow = (id: Id, row: number) =>
  request<T.RowHistory>('GET', `${campaign}/rows/{row}`, { path: { id, row } });
/** The rows of one person in this very campaign. */
export const getRecipient = (id: Id, phone: string) =>
  request<T.RecipientRows>('GET', `${campaign}/recipients/{phone}`, { path: { id, phone } });
export const requestSuppression = (id: Id, body: { states: string[]; codes: number[]; reason?: string }) =>
  request<T.JobView>('POST', `${campaign}/suppression`, { path: { id }, body });
export const getSuppression = (id: Id) => request<T.JobView>('GET', `${campaign}/suppression`, { path: { id } });
export const getRejects = (id: Id, file?: number) =>
  request<T.SignedDownload>('GET', `${campaign}/rejects`, { path: { id }, query: { file } });
export const requestReport = (id: Id, bom: boolean) =>
  request<T.JobView>('POST', `${campaign}/report`, { path: { id }, body: { bom } });
export const getReport = (id: Id) => request<T.ReportView>('GET', `${campaign}/report`, { path: { id } });

type Part = number | 'exclude';
export const startUpload = (id: Id, file: Part) =>
  request<T.PartUpload>('POST', `${campaign}/upload`, { path: { id }, body: { file: String(file) } });
export const getUpload = (id: Id, file: Part) =>
  request<T.PartUpload>('GET', `${campaign}/upload`, { path: { id }, query: { file: String(file) } });
export const signParts = (id: Id, file: Part, parts: number[]) =>
  request<T.SignedParts>('POST', `${campaign}/upload/parts`, { path: { id }, body: { file: String(file), parts } });
export const completeUpload = (id: Id, file: Part) =>
  request<T.PartUpload>('POST', `${campaign}/upload/complete`, { path: { id }, body: { file: String(file) } });

export const getSettings = () => request<T.Settings>('GET', '/v1/settings');
export const updateSettings = (body: T.Settings) => request<T.Settings>('PUT', '/v1/settings', { body });
export const listAudit = (query: { campaign?: string; after?: string; limit?: number }) =>
  request<T.AuditList>('GET', '/v1/audit', { query });
export const exportAudit = (query: { campaign?: string; after?: string }) => download('/v1/audit.csv', { query });

export const getContact = (phone: string) => request<T.ContactView>('GET', '/v1/contacts/{phone}', { path: { phone } });
export const updateContact = (phone: string, body: { suppressed: boolean; reason?: string }) =>
  request<T.ContactView>('PUT', '/v1/contacts/{phone}', { path: { phone }, body });
export const eraseContact = (phone: string) =>
  request<T.ContactView>('DELETE', '/v1/contacts/{phone}', { path: { phone } });
export const exportContact = (phone: string) => download('/v1/contacts/{phone}/export', { path: { phone } });
export const exportOptOuts = (after?: string) => download('/v1/opt-outs.csv', { query: { after } });
export const importOptOuts = (phones: string[], reason: string) =>
  request<T.OptOutResult>('POST', '/v1/opt-outs', { body: { phones, ...(reason ? { reason } : {}) } });

export const listConversations = (after?: string) =>
  request<T.ConversationList>('GET', '/v1/conversations', { query: { after } });
export const listContactMessages = (phone: string, after?: string) =>
  request<T.Thread>('GET', '/v1/contacts/{phone}/messages', { path: { phone }, query: { after } });
export const sendReply = (phone: string, body: { request_id: string; message: T.Message }) =>
  request<{ campaign: string; state: string }>('POST', '/v1/contacts/{phone}/messages', { path: { phone }, body });

/** Sends one message to one person; the same key with the same body is the same message, however often it is sent. */
export const sendMessage = (key: string, body: T.NewSingleMessage) =>
  request<{ id: string }>('POST', '/v1/messages', { headers: { 'idempotency-key': key }, body });
/** What became of a message; the answer waits so many seconds for WhatsApp's at most. */
export const getMessage = (id: Id, wait: number) =>
  request<T.SingleMessage>('GET', '/v1/messages/{id}', { path: { id }, query: { wait } });

export const listTemplates = (all: boolean) =>
  request<T.TemplateList>('GET', '/v1/templates', { query: { all: all || undefined } });
export const getAccount = () => request<T.AccountView>('GET', '/v1/account');
export const listNumbers = () => request<T.SenderNumberList>('GET', '/v1/numbers');
export type NumberCommand = 'pause' | 'resume';
export const commandNumber = (number: Id, name: NumberCommand) =>
  request<T.SenderNumber>('POST', `/v1/numbers/{number}/${name}`, { path: { number } });
