ALTER TABLE `runs` ADD `parent_run_id` text;--> statement-breakpoint
CREATE INDEX `runs_of_parent` ON `runs` (`parent_run_id`) WHERE "runs"."parent_run_id" IS NOT NULL;