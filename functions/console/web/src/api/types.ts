/** What the API answers, by the names of its own description (`schema.ts`, which is generated). */

import type { components } from './schema';

type Schemas = components['schemas'];

/** The description lets fields that may be null be absent, too; in an answer they are there. */
type Answer<T> = T extends readonly (infer Item)[] ? Answer<Item>[] : T extends object ? { [Key in keyof T]-?: Answer<Exclude<T[Key], undefined>> } : T;

/** A message object of the Cloud API. */
export type Message = Record<string, unknown>;

/** An answer with a message object, which the description leaves open. */
type WithMessage<T> = Omit<Answer<T>, 'message'> & { message: Message };

export type Role = Schemas['Role'];
export const ROLES: readonly Role[] = ['viewer', 'author', 'sender', 'admin'];
export type Session = Answer<Schemas['SessionView']>;
export type Token = Answer<Schemas['TokenView']>;
export type TokenList = Answer<Schemas['TokenList']>;
export type CreatedToken = Answer<Schemas['CreatedToken']>;

export type CampaignState = Schemas['CampaignState'];
export type RowState = Schemas['RowState'];
export type RowCounts = Answer<Schemas['RowCounts']>;
export type DeliveryCounts = Answer<Schemas['DeliveryCounts']>;
export type Campaign = WithMessage<Schemas['CampaignPage']>;
/** A campaign as the list has it: without its actions and its approval. */
export type ListedCampaign = WithMessage<Schemas['CampaignView']>;
export type CampaignList = Omit<Answer<Schemas['CampaignList']>, 'campaigns'> & { campaigns: ListedCampaign[] };
export type DailyWindow = Schemas['DailyWindow'];
export type Day = Schemas['Day'];
export type CampaignUpload = Answer<Schemas['CampaignUpload']>;
export type CampaignStateView = Answer<Schemas['CampaignStateView']>;
export type ActionName = Schemas['Action'];
export type CampaignAction = Answer<Schemas['ActionView']>;
export type Approval = Answer<Schemas['ApprovalView']>;
export type FileOptions = Schemas['FileOptions'];
export type SampleView = WithMessage<Schemas['SampleView']>;
export type PreviewView = Omit<Answer<Schemas['PreviewView']>, 'messages'> & { messages: SampleView[] };

export type Timeline = Answer<Schemas['Timeline']>;
export type Cause = Answer<Schemas['FailureView']>;
export type Failures = Answer<Schemas['FailureList']>;
export type RowProblem = Answer<Schemas['RowProblemView']>;
export type RowView = Answer<Schemas['RowView']>;
export type RowHistory = Answer<Schemas['RowHistory']>;
export type RowEvent = Answer<Schemas['RowEvent']>;
export type RecipientRow = Answer<Schemas['RecipientRow']>;
export type RecipientRows = Answer<Schemas['RecipientRows']>;
export type RowList = Answer<Schemas['RowList']>;
export type JobView = Answer<Schemas['JobView']>;
export type ReportView = Answer<Schemas['ReportView']>;
export type SummaryView = Answer<Schemas['SummaryView']>;

export type SignedUpload = Answer<Schemas['SignedUpload']>;
export type SignedDownload = Answer<Schemas['SignedDownload']>;
export type SignedPart = Answer<Schemas['SignedPart']>;
export type SignedParts = Answer<Schemas['SignedParts']>;
export type PartUpload = Answer<Schemas['PartUploadView']>;

export type Settings = Answer<Schemas['SettingsView']>;
export type TestNumber = Answer<Schemas['TestNumberView']>;
export type AuditEntry = Answer<Schemas['AuditEntryView']>;
export type AuditList = Answer<Schemas['AuditList']>;

export type ContactView = Answer<Schemas['ContactView']>;
export type ConsentView = Answer<Schemas['ConsentView']>;
export type OptOutResult = Answer<Schemas['OptOutResult']>;
export type InboundMessageView = Answer<Schemas['InboundMessageView']>;
export type Conversation = Answer<Schemas['ConversationView']>;
export type ConversationList = Answer<Schemas['ConversationList']>;
export type ThreadMessage = ({ direction: 'in' } & InboundMessageView) | ({ direction: 'out' } & WithMessage<Schemas['SentReplyView']>);
export type Thread = Omit<Answer<Schemas['MessageList']>, 'messages'> & { messages: ThreadMessage[] };

export type NewSingleMessage = { to: string; message: Message; urgent: boolean; number?: string };
export type RecipientStatus = Schemas['RecipientStatus'];
export type SingleMessage = Answer<Schemas['SingleMessageView']>;

export type TemplatePreview = Answer<Schemas['TemplatePreviewView']>;
export type Template = Answer<Schemas['TemplateView']>;
export type TemplateList = Answer<Schemas['TemplateList']>;
export type AccountView = Answer<Schemas['AccountView']>;
export type NumberView = Answer<Schemas['NumberView']>;
/** A number that messages are sent from. */
export type SenderNumber = Answer<Schemas['SenderNumberView']>;
export type SenderNumberList = Answer<Schemas['NumberList']>;
