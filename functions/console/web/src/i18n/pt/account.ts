/** The WhatsApp account, in Portuguese. */

import type { Count } from '../count';
import type { AccountText } from '../en/account';

export const account = (count: Count): AccountText => ({
  title: 'Conta',
  budget: 'Teto',
  budgetHelp: (n) => count(n, 'mensagem', 'mensagens') + ' por segundo, nunca mais',
  limit: 'Pessoas novas em 24 horas',
  limitNone: 'sem limite',
  limitUnknown: 'desconhecido',
  templates: 'Modelos',
  asked: (time) => `Segundo o WhatsApp às ${time}`,
  name: 'Nome',
  language: 'Idioma',
  category: 'Categoria',
  quality: 'Qualidade',
  status: 'Estado',
  statuses: { APPROVED: 'Aprovado', PENDING: 'Em análise da Meta', REJECTED: 'Recusado pela Meta', PAUSED: 'Pausado pela Meta', DISABLED: 'Desativado pela Meta' },
  notices: 'Avisos da Meta',
  noNotices: 'A Meta não enviou avisos sobre sua conta, número ou modelos.',
});
