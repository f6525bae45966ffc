CREATE TABLE `assistants` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`created_at` integer NOT NULL,
	`metadata` text NOT NULL,
	`name` text,
	`description` text,
	`model` text NOT NULL,
	`instructions` text,
	`tools` text NOT NULL,
	`top_p` real NOT NULL,
	`temperature` real NOT NULL,
	`reasoning_effort` text,
	`tool_resources` text NOT NULL,
	`response_format` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `assistants_id_unique` ON `assistants` (`id`);--> statement-breakpoint
CREATE TABLE `messages` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`created_at` integer NOT NULL,
	`metadata` text NOT NULL,
	`thread_id` text NOT NULL,
	`assistant_id` text,
	`run_id` text,
	`status` text NOT NULL,
	`incomplete_details` text,
	`incomplete_at` integer,
	`completed_at` integer,
	`role` text NOT NULL,
	`content` text NOT NULL,
	`attachments` text NOT NULL,
	FOREIGN KEY (`thread_id`) REFERENCES `threads`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX `messages_id_unique` ON `messages` (`id`);--> statement-breakpoint
CREATE INDEX `messages_of_thread` ON `messages` (`thread_id`,`seq`);--> statement-breakpoint
CREATE INDEX `messages_of_run` ON `messages` (`run_id`) WHERE "messages"."run_id" IS NOT NULL;--> statement-breakpoint
CREATE TABLE `runs` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`created_at` integer NOT NULL,
	`metadata` text NOT NULL,
	`thread_id` text NOT NULL,
	`assistant_id` text NOT NULL,
	`status` text NOT NULL,
	`started_at` integer,
	`expires_at` integer,
	`cancelled_at` integer,
	`failed_at` integer,
	`completed_at` integer,
	`required_action` text,
	`last_error` text,
	`model` text NOT NULL,
	`instructions` text,
	`tools` text NOT NULL,
	`tool_resources` text NOT NULL,
	`temperature` real NOT NULL,
	`top_p` real NOT NULL,
	`reasoning_effort` text,
	`max_completion_tokens` integer,
	`max_prompt_tokens` integer,
	`truncation_strategy` text NOT NULL,
	`incomplete_details` text,
	`usage` text,
	`response_format` text NOT NULL,
	`tool_choice` text NOT NULL,
	`parallel_tool_calls` integer NOT NULL,
	`version` integer NOT NULL,
	`spent` text NOT NULL,
	`lease_id` text,
	`available_at` integer,
	FOREIGN KEY (`thread_id`) REFERENCES `threads`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX `runs_id_unique` ON `runs` (`id`);--> statement-breakpoint
CREATE INDEX `runs_of_thread` ON `runs` (`thread_id`,`seq`);--> statement-breakpoint
CREATE UNIQUE INDEX `one_active_run_of_thread` ON `runs` (`thread_id`) WHERE status IN ('queued', 'in_progress', 'requires_action', 'cancelling');--> statement-breakpoint
CREATE INDEX `runs_to_do` ON `runs` (`available_at`,`seq`) WHERE "runs"."available_at" IS NOT NULL;--> statement-breakpoint
CREATE INDEX `runs_by_lease` ON `runs` (`lease_id`) WHERE "runs"."lease_id" IS NOT NULL;--> statement-breakpoint
CREATE TABLE `run_steps` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`created_at` integer NOT NULL,
	`metadata` text NOT NULL,
	`run_id` text NOT NULL,
	`assistant_id` text NOT NULL,
	`thread_id` text NOT NULL,
	`type` text NOT NULL,
	`status` text NOT NULL,
	`cancelled_at` integer,
	`completed_at` integer,
	`expires_at` integer,
	`expired_at` integer,
	`failed_at` integer,
	`last_error` text,
	`step_details` text NOT NULL,
	`usage` text,
	`spent` text,
	FOREIGN KEY (`run_id`) REFERENCES `runs`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX `run_steps_id_unique` ON `run_steps` (`id`);--> statement-breakpoint
CREATE INDEX `steps_of_run` ON `run_steps` (`run_id`,`seq`);--> statement-breakpoint
CREATE TABLE `threads` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`created_at` integer NOT NULL,
	`metadata` text NOT NULL,
	`tool_resources` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `threads_id_unique` ON `threads` (`id`);