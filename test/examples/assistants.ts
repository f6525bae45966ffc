import OpenAI from 'openai'

/** Polls for the complete answer of an assistant. */

const openai = new OpenAI()

async function main() {
  const assistant = await openai.beta.assistants.create({
    model: process.env.OPENAI_MODEL ?? 'gpt-4o',
    name: 'Math Tutor',
    instructions: 'You are a personal math tutor. Write and run code to answer math questions.',
  })

  const assistantId = assistant.id
  console.log(`Created Assistant with Id: ${assistantId}`)

  const thread = await openai.beta.threads.create({
    messages: [
      {
        role: 'user',
        content: 'I need to solve the equation `3x + 11 = 14`. Can you help me?',
      },
    ],
  })

  const threadId = thread.id
  console.log(`Created thread with Id: ${threadId}`)

  const run = await openai.beta.threads.runs.createAndPoll(threadId, {
    assistant_id: assistantId,
    additional_instructions: 'Please address the user as Jane Doe. The user has a premium account.',
  })

  console.log(`Run finished with status: ${run.status}`)

  if (run.status === 'completed') {
    const messages = await openai.beta.threads.messages.list(threadId)
    for (const message of messages.getPaginatedItems()) {
      console.log(message)
    }
  }
}

main()
