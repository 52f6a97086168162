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
  number: 'Número',
  phone: 'Número de telefone',
  shownName: 'Nome que as pessoas veem',
  throughput: 'Capacidade',
  throughputs: { STANDARD: 'Padrão: 80 mensagens por segundo', HIGH: 'Alta: 1.000 mensagens por segundo' },
  numberStatuses: {
    CONNECTED: 'Conectado',
    PENDING: 'Ainda não conectado',
    FLAGGED: 'Sinalizado pela Meta por causa da qualidade',
    RESTRICTED: 'Restrito pela Meta: o limite acabou',
    RATE_LIMITED: 'Desacelerado pela Meta',
    DISCONNECTED: 'Desconectado',
    BANNED: 'Banido pela Meta',
    MIGRATED: 'Movido para outra conta',
    DELETED: 'Excluído',
    UNVERIFIED: 'Não verificado',
  },
  unreachable: 'Agora não é possível perguntar ao WhatsApp sobre o número. A página pergunta de novo sozinha; o que está sendo enviado não é afetado.',
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
