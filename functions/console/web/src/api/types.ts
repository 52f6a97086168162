/** What the API answers, by the names of its own description (`schema.ts`, which is generated). */

import type { components } from './schema';

type Schemas = components['schemas'];

export type CampaignState = Schemas['CampaignState'];
export type RowState = Schemas['RowState'];
export type RowCounts = Schemas['RowCounts'];
export type DeliveryCounts = Schemas['DeliveryCounts'];
export type JobView = Schemas['JobView'];
export type ReportView = Schemas['ReportView'];
export type SummaryView = Schemas['SummaryView'];
export type SignedUpload = Schemas['SignedUpload'];
export type SignedDownload = Schemas['SignedDownload'];
export type CampaignUpload = Schemas['CampaignUpload'];
export type FileOptions = Schemas['FileOptions'];
export type PreviewView = Schemas['PreviewView'];
export type SampleView = Schemas['SampleView'];
export type ContactView = Schemas['ContactView'];
export type ConsentView = Schemas['ConsentView'];
export type AccountView = Schemas['AccountView'];
export type InboundMessageView = Schemas['InboundMessageView'];

/** A message object of the Cloud API. */
export type Message = Record<string, unknown>;

export type Role = 'viewer' | 'author' | 'sender' | 'admin';
export const ROLES: readonly Role[] = ['viewer', 'author', 'sender', 'admin'];

export interface TestNumber {
  name: string;
  phone: string;
}

export interface Session {
  name: string;
  role: Role;
  expires_at: string | null;
  kind: 'session' | 'token';
  budget: number;
  approval_required: boolean;
  test_numbers: TestNumber[];
  multipart_threshold: number;
  max_upload_bytes: number;
  max_workbook_bytes: number;
  allowed: string[];
}

export interface Token {
  id: string;
  name: string;
  role: Role;
  created_at: string;
  created_by: string;
  last_used_at: string | null;
  expires_at: string | null;
}

export type ActionName =
  | 'start'
  | 'pause'
  | 'resume'
  | 'cancel'
  | 'continue'
  | 'add_file'
  | 'set_options'
  | 'edit'
  | 'test'
  | 'retry'
  | 'report'
  | 'request_approval'
  | 'give_approval'
  | 'withdraw_approval';

export interface CampaignAction {
  action: ActionName;
  operation: string;
  effect: string;
  rows: number | null;
  allowed: boolean;
  reason: string | null;
}

export interface Approval {
  required: boolean;
  hash: string | null;
  requested_by: string | null;
  requested_at: string | null;
  note: string | null;
  approved_by: string | null;
  approved_at: string | null;
  valid: boolean;
  void_because: string | null;
  changed_by: string | null;
  may_approve: boolean;
  may_not_because: string | null;
}

export type FileView = Schemas['FileView'] & {
  number: number;
  size: number;
  added_at: string;
  options?: FileOptions;
  duplicates: number;
  suppressed: number;
  enqueued: number;
};

export type Campaign = Omit<Schemas['CampaignView'], 'files' | 'sending' | 'message'> & {
  message: Message;
  version: number;
  created_by: string | null;
  started_by: string | null;
  started_at: string | null;
  paused_at: string | null;
  paused_by: 'operator' | 'crier' | 'account_error' | null;
  cancelled_at: string | null;
  manual_start: boolean;
  files: FileView[];
  sending: Schemas['SendingView'] & { held_for_quality?: number };
  remaining_seconds: number | null;
  slowed: boolean;
  actions: CampaignAction[];
  approval: Approval;
};

export interface CampaignPage {
  campaigns: Campaign[];
  next: string | null;
}

export interface Timeline {
  now: string;
  budget: number;
  recent: { bucket_seconds: number; points: { at: string; attempts: number; complete?: boolean }[] };
  history: {
    bucket_seconds: number;
    points: { at: string; attempts: number; delivered: number; read: number }[];
  };
  first_attempt_at: string | null;
  last_attempt_at: string | null;
  remaining_seconds: number | null;
  estimated_end: string | null;
}

export type FailureState = 'rejected' | 'undelivered' | 'unconfirmed' | 'skipped';

export interface Cause {
  state: FailureState;
  code: number | null;
  /** Why Crier did not send a skipped row. */
  skipped: 'suppressed' | 'outside_service_window' | 'cancelled' | 'expired' | null;
  rows: number;
  meaning: string | null;
  retry: {
    makes_sense: boolean;
    reason: string;
    request: { states: string[]; codes: number[]; manual_start: boolean } | null;
  };
}

export interface RowProblem {
  problem: string;
  fix: string;
  rows: number;
  first: number[];
}

export interface Failures {
  causes: Cause[];
  rejected_at_import: RowProblem[];
  total: number;
}

export interface RowEvent {
  at: string;
  event: string;
  attempt: number;
  /** The state in which an attempt ended. */
  outcome?: string | null;
  error: string | null;
}

export type RowView = Schemas['RowView'] & {
  sent_at?: string | null;
  delivered_at?: string | null;
  read_at?: string | null;
  failed_at?: string | null;
  events?: RowEvent[];
};

export interface RowPage {
  rows: RowView[];
  next: number | null;
}

export interface PartUpload {
  file: string;
  size: number;
  part_size: number;
  parts: number;
  uploaded: { part: number; size: number; etag: string }[];
  complete: boolean;
}

export interface SignedPart {
  part: number;
  method: string;
  url: string;
  headers: Record<string, string>;
  expires_at: string;
}

export type Settings = Schemas['SettingsView'] & {
  approval_required: boolean;
  test_numbers: TestNumber[];
};

export interface AuditEntry {
  id: string;
  at: string;
  who: string;
  role: Role;
  via: 'session' | 'token';
  operation: string;
  campaign: string | null;
  version_before: number | null;
  version_after: number | null;
  contact: string | null;
  status: number | null;
}

export interface AuditPage {
  entries: AuditEntry[];
  next: string | null;
}

export interface Conversation {
  contact: string;
  phone: string | null;
  user_id: string | null;
  name: string | null;
  last_message: InboundMessageView;
  service_window_until: string | null;
  suppressed: boolean;
  campaign: string | null;
  row: number | null;
}

export type ThreadMessage =
  | ({ direction: 'in' } & InboundMessageView)
  | {
      direction: 'out';
      sent_at: string;
      by: string;
      text: string | null;
      message: Message;
      /** The campaign of one row that sends it. */
      campaign: string;
      state: string | null;
      delivered_at: string | null;
      read_at: string | null;
      error: string | null;
    };

export interface Thread {
  messages: ThreadMessage[];
  service_window_until: string | null;
  suppressed: boolean;
  next: string | null;
}

export interface TemplatePreview {
  header: { format: 'TEXT' | 'IMAGE' | 'VIDEO' | 'DOCUMENT' | 'LOCATION' | string; text: string | null } | null;
  body: string;
  footer: string | null;
  buttons: { type: string; text: string }[];
}

export type Template = Schemas['TemplateView'] & {
  status: string;
  quality: string | null;
  preview: TemplatePreview | null;
};

export type TemplateList = Omit<Schemas['TemplateList'], 'templates'> & { templates: Template[] };

/** What `POST /v1/campaigns` takes. */
export type NewCampaign = Schemas['NewCampaign'];
